import { favourites } from './favourites.ts';
import type { PersonCard } from './figure.ts';
import { formatDate, formatMinutes, formatPlural, nameInText } from './format.ts';
import type { PageContent } from './page.ts';
import type { PersonReading } from './person.ts';
import type { PageFrame } from './portrait.ts';
import type { Reading } from './reading.ts';

/** What `load` calls a person whom nobody has named: their page says "you" instead. */
export const DEFAULT_LABEL = 'me';

const PEOPLE = `
select user_id
from dim_users
where has_own_plays
order by user_id`;

/** Labels of the people of gold, in their order: users with own plays. Users of events are none. */
export async function readPeople(rows: Reading['rows']): Promise<string[]> {
  return (await rows<{ user_id: string }>(PEOPLE)).map(({ user_id }) => user_id);
}

/** The page that leads to each person's own: a card with name, hours, years and top artist. */
export async function composePeople(people: readonly PersonReading[], frame: PageFrame): Promise<PageContent> {
  const cards: PersonCard[] = [];
  for (const person of people) cards.push(await cardOf(person, frame.asOf));
  return {
    ...frame,
    facts: [formatPlural(people.length, 'person', 'people'), `as of ${formatDate(frame.asOf)}`],
    headlines: [],
    sections: [],
    cards,
  };
}

async function cardOf(person: PersonReading, asOf: string): Promise<PersonCard> {
  const { totals, isTimed, userId } = person;
  const { artists } = await favourites(person, asOf);
  const first = artists.find(({ period, rank }) => period === 'all' && rank === 1);
  const [from, to] = [totals.first_date!.slice(0, 4), totals.last_date!.slice(0, 4)];
  return {
    href: `people/${userId}.html`,
    name: userId,
    lines: [
      isTimed ? `${formatMinutes(totals.played_ms / 60_000)} of listening` : formatPlural(totals.plays, 'play'),
      from === to ? from : `${from} to ${to}`,
      ...(first === undefined ? [] : [`Most of all ${nameInText(first.name ?? 'an artist without a name', 60)}`]),
    ],
  };
}
