import type { Figure } from './figure.ts';
import { formatCount, formatMinutes, formatPlural, formatShare, nameInText } from './format.ts';
import type { Chapter, PersonReading } from './person.ts';
import { rankedLists } from './rankings.ts';
import { devices } from './who.ts';

const SHOWN_COUNTRIES = 12;

const PLAYS_BY_COUNTRY = `
with

plays as (select * from fct_plays where {in_reports} and {person} and country is not null),

countries as (select * from dim_countries),

counted as (
    select
        country,
        count(*) as plays,
        cast(coalesce(sum(played_ms), 0) as bigint) as played_ms,
        count(distinct local_date) as days
    from plays
    group by country
)

select
    counted.country,
    coalesce(countries.country_name, counted.country) as country_name,
    counted.plays,
    counted.played_ms,
    counted.days,
    count(*) over () as countries
from counted
left join countries
    on counted.country = countries.country
order by counted.played_ms desc, counted.plays desc, counted.country
limit ${SHOWN_COUNTRIES}`;

interface CountryRow extends Record<string, string | number> {
  country: string;
  country_name: string;
  plays: number;
  played_ms: number;
  days: number;
  /** All of them, those that are not shown included. */
  countries: number;
}

/** On which devices and in which countries a person listened. */
export async function whereSection(reading: PersonReading): Promise<Chapter> {
  const found = [await devices(reading), await countries(reading)];
  const figures = found.filter((figure): figure is Figure => figure?.chart !== undefined);
  if (figures.length > 0) return { section: { id: 'where', title: 'Where you listen', figures } };
  return {
    missing:
      'Devices and countries: no play says them. The extended account export does; recently played, scrobbles and the short account export do not.',
  };
}

/** Undefined where no play says its country, or all are of one: that is no story. */
async function countries(reading: PersonReading): Promise<Figure | undefined> {
  if (!reading.tables.has('dim_countries')) return undefined;
  const rows = await reading.rows<CountryRow>(PLAYS_BY_COUNTRY);
  if (rows.length < 2) return undefined;
  const { isTimed, totals } = reading;
  const whole = isTimed ? totals.played_ms : totals.plays;
  const wholeText = isTimed ? `${formatMinutes(whole / 60_000)} of listening` : formatPlural(whole, 'play');
  const amountOf = (row: CountryRow): number => (isTimed ? row.played_ms : row.plays);
  const textOf = (row: CountryRow): string =>
    isTimed ? formatMinutes(row.played_ms / 60_000) : formatPlural(row.plays, 'play');
  const [first, second] = rows;
  return {
    name: 'countries',
    title: `You listened in ${formatPlural(first!.countries, 'country', 'countries')}`,
    takeaway: `Most in ${nameInText(first!.country_name, 40)}: ${formatShare(amountOf(first!) / whole, 0)} of ${wholeText}. Then in ${nameInText(second!.country_name, 40)}, on ${formatPlural(second!.days, 'day')}.`,
    chart: (layout) =>
      rankedLists(
        [
          {
            title: '',
            rows: rows.map((row) => ({
              label: row.country_name,
              detail: formatPlural(row.days, 'day'),
              value: amountOf(row),
              valueText: textOf(row),
            })),
          },
        ],
        layout,
      ),
    table: {
      columns: [
        { label: 'Country', kind: 'text' },
        { label: 'Plays', kind: 'number' },
        { label: 'Minutes', kind: 'number', format: (value) => formatCount(value, 1) },
        { label: 'Days', kind: 'number' },
      ],
      parts: { filter: 'country', values: rows.map(({ country }) => country) },
      rows: rows.map((row) => [row.country_name, row.plays, isTimed ? row.played_ms / 60_000 : null, row.days]),
      ...(first!.countries > rows.length
        ? { remark: `${formatPlural(first!.countries - rows.length, 'more country', 'more countries')} below these.` }
        : {}),
    },
    notes: ['The country is the one that the account export names for a play.'],
  };
}
