const DAY_MS = 86_400_000;

/** The months (`YYYY-MM`, ascending) of the dates (`YYYY-MM-DD`) and of the days before and after them: a correction of times may move a play that far. */
export function monthsAround(days: Iterable<string>): string[] {
  const months = new Set<string>();
  for (const day of days) {
    const ms = Date.parse(`${day}T00:00:00Z`);
    for (const near of [ms - DAY_MS, ms, ms + DAY_MS]) months.add(new Date(near).toISOString().slice(0, 7));
  }
  return [...months].sort();
}
