import type { Cell, Column, DataTable, Figure, Headline, Hero, PersonCard, Section } from './figure.ts';
import { fontFace, JOINING, roundedUp, supplements } from './font.ts';
import { cleanText, escapeHtml } from './format.ts';
import { stylesheet } from './style.ts';
import { FONT, HUES } from './theme.ts';

/** Longest name on a person's first screen. */
const HERO_MAX_CHARS = 90;
/** By this a page is known as one that a report has made. */
export const GENERATOR = '<meta name="generator" content="listenlake">';

/** What the page says besides its figures. All of it is plain text. */
export interface PageContent {
  title: string;
  /** Lines under the title: the interval, whose data, which version. */
  facts: string[];
  /** What the reader must know before any number, such as "nothing here yet". */
  notices: string[];
  headlines: Headline[];
  sections: Section[];
  footer: string[];
  /** A person's first screen. */
  hero?: Hero[];
  /** Ways to the pages of people. */
  cards?: PersonCard[];
  /** What is left out because the data does not carry it, and how to fill it. */
  missing?: string[];
  /** The last block: what the numbers rest on. */
  closing?: string[];
  /** To the other pages of the report, by relative addresses that are ours. */
  links?: { href: string; label: string }[];
}

/** A figure's drawings for the page: SVG text made by us. */
export interface Drawing {
  wide: string;
  narrow: string;
}

/** What a page that is served has around its figures. All of it is markup made by us. */
export interface Surroundings {
  /** Rules after the page's own. */
  style: string;
  /** Before the header: ways to other pages. */
  top: string;
  /** Between the header and the first section. */
  form: string;
  afterFigure(figure: Figure): string;
  afterSection(section: Section): string;
}

/**
 * The whole report as one HTML text: style, font and charts are inside, nothing is loaded, no script is there
 * and none may run (CSP).
 *
 * Text from data is cleaned, escaped and isolated, so that it can neither become markup nor reorder the text
 * around it.
 *
 * @param around of a page that is served: its CSP comes in the header of the answer instead
 */
export async function renderPage(
  content: PageContent,
  drawings: ReadonlyMap<string, Drawing>,
  around?: Surroundings,
): Promise<string> {
  const body = [
    ...(around ? [around.top] : []),
    renderHeader(content, around?.form ?? ''),
    '<main>',
    renderCards(content.cards ?? []),
    ...content.sections.map((section, index) => renderSection(section, drawings, hueOf(content, index), around)),
    renderMissing(content.missing ?? []),
    renderClosing(content),
    '</main>',
    `<footer>${renderLinks(content)}${content.footer.map((line) => `<p>${escapeHtml(line)}</p>`).join('')}</footer>`,
  ].join('\n');
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    ...(around
      ? []
      : [
          `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; form-action 'none'">`,
        ]),
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="referrer" content="no-referrer">',
    GENERATOR,
    '<meta name="color-scheme" content="light dark">',
    `<title>${escapeHtml(content.title)}</title>`,
    '<link rel="icon" href="data:,">',
    `<style>${await fontRules(body, around !== undefined)}${stylesheet()}${around?.style ?? ''}</style>`,
    '</head>',
    '<body>',
    '<div class="page">',
    body,
    '</div>',
    '</body>',
    '</html>',
    '',
  ].join('\n');
}

function renderHeader(content: PageContent, form: string): string {
  const tiles = content.headlines.map(
    ({ label, value, detail }) =>
      `<div class="tile"><dt>${escapeHtml(label)}</dt><dd><b>${escapeHtml(value)}</b>${detail ? `<span>${escapeHtml(detail)}</span>` : ''}</dd></div>`,
  );
  const links = content.sections.map((section) => `<a href="#${section.id}">${escapeHtml(section.title)}</a>`);
  return [
    '<header>',
    `<h1>${escapeHtml(content.title)}</h1>`,
    `<p class="facts">${content.facts.map((fact) => `<span>${isolated(fact)}</span>`).join('')}</p>`,
    form,
    ...content.notices.map((notice) => `<p class="notice">${escapeHtml(notice)}</p>`),
    renderHero(content.hero ?? []),
    tiles.length > 0 ? `<dl class="tiles">${tiles.join('')}</dl>` : '',
    links.length > 1 ? `<nav aria-label="Sections">${links.join('')}</nav>` : '',
    '</header>',
  ].join('\n');
}

/** In big type, the first line over the whole width; a long name is smaller, so that it stays a few lines. */
function renderHero(hero: readonly Hero[]): string {
  if (hero.length === 0) return '';
  const lines = hero.map(({ label, value, detail }) => {
    const size = value.length > 40 ? ' class="long"' : '';
    return `<div><dt>${escapeHtml(label)}</dt><dd><b${size}>${isolated(value, HERO_MAX_CHARS)}</b><span>${escapeHtml(detail)}</span></dd></div>`;
  });
  return `<dl class="hero">${lines.join('')}</dl>`;
}

function renderCards(cards: readonly PersonCard[]): string {
  if (cards.length === 0) return '';
  const items = cards.map(
    ({ href, name, lines }) =>
      `<li><a href="${escapeHtml(href)}"><b>${isolated(name)}</b>${lines.map((line) => `<span>${escapeHtml(line)}</span>`).join('')}</a></li>`,
  );
  return `<ul class="cards">${items.join('')}</ul>`;
}

function renderMissing(missing: readonly string[]): string {
  if (missing.length === 0) return '';
  const items = missing.map((line) => `<li>${escapeHtml(line)}</li>`).join('');
  return `<section id="missing" class="quiet"><h2>What is not here yet</h2><ul>${items}</ul></section>`;
}

function renderClosing({ closing = [] }: PageContent): string {
  if (closing.length === 0) return '';
  const lines = closing.map((line) => `<p>${escapeHtml(line)}</p>`).join('');
  return `<section id="about" class="quiet"><h2>What the numbers rest on</h2>${lines}</section>`;
}

function renderLinks({ links = [] }: PageContent): string {
  const list = links.map(({ href, label }) => `<a href="${escapeHtml(href)}">${escapeHtml(label)}</a>`);
  return list.length === 0 ? '' : `<nav aria-label="Pages">${list.join('')}</nav>`;
}

/** Chapters of a person's page take turns in colour; a page of tables has one. */
function hueOf({ hero }: PageContent, index: number): string {
  const hue = HUES[index % HUES.length]!.name;
  return hero === undefined ? '' : ` class="hue-${hue}"`;
}

function renderSection(
  section: Section,
  drawings: ReadonlyMap<string, Drawing>,
  hue: string,
  around: Surroundings | undefined,
): string {
  const figures = section.figures.map((figure) =>
    renderFigure(figure, drawings.get(figure.name), around?.afterFigure(figure) ?? ''),
  );
  return `<section id="${section.id}"${hue}>\n<h2>${escapeHtml(section.title)}</h2>\n${figures.join('\n')}\n${around?.afterSection(section) ?? ''}</section>`;
}

function renderFigure(figure: Figure, drawing: Drawing | undefined, after: string): string {
  const label = escapeHtml(`${figure.title}. ${figure.takeaway ?? ''}`.trim());
  return [
    `<figure id="${figure.name}">`,
    `<figcaption><h3>${escapeHtml(figure.title)}</h3>${figure.takeaway ? `<p>${escapeHtml(figure.takeaway)}</p>` : ''}</figcaption>`,
    drawing
      ? chartBox('wide', drawing.wide, `${figure.name}-w`, label) +
        chartBox('narrow', drawing.narrow, `${figure.name}-n`, label)
      : '',
    figure.missing ? `<p class="missing">${escapeHtml(figure.missing)}</p>` : '',
    ...figure.notes.map((note) => `<p class="note">${escapeHtml(note)}</p>`),
    figure.table ? renderTable(figure.table, figure.title, drawing === undefined || isOfLinks(figure.table)) : '',
    after,
    '</figure>',
  ].join('\n');
}

const UNNAMED_ROLE = / role="graphics-(?:symbol|object)"/;
/** A mark that says its value; a heading inside a chart does not make it one of these. */
const SPEAKING = /<(?!g )[^<>]* role="graphics-symbol"/;

/**
 * Ids inside an SVG are made unique in the page, and the image is one thing with one name for screen readers:
 * its numbers are in the table.
 */
function chartBox(kind: 'wide' | 'narrow', svg: string, prefix: string, label: string): string {
  // An image hides what is in it: where marks say their values, the chart is a group of them.
  const role = SPEAKING.test(svg) ? 'group' : 'img';
  const inner = svg
    .replace(/^<svg[^>]*viewBox="([^"]*)"[^>]*>/, (_, box: string) => {
      const [, , width] = box.split(' ');
      return `<svg role="${role}" aria-label="${label}" viewBox="${box}" style="max-width:${Math.ceil(Number(width))}px">`;
    })
    // What kind of mark it is says nothing beside its label, and a calendar has thousands.
    .replace(/ aria-roledescription="[^"]*"/g, '')
    // Vega gives groups of marks a role; without a name it says nothing.
    .replace(/<g [^<>]*>/g, (tag) => (tag.includes(' aria-label="') ? tag : tag.replace(UNNAMED_ROLE, '')))
    .replace(/(<[^<>]*\sid=")([a-z0-9_]+")/gi, `$1${prefix}-$2`)
    .replace(/url\(#([a-z0-9_]+)\)/gi, `url(#${prefix}-$1)`);
  return `<div class="chart ${kind}">${inner}</div>`;
}

/** Ways to what the rows name are shown at once; those that narrow the page are with the numbers. */
function isOfLinks({ links, parts }: DataTable): boolean {
  return links !== undefined && parts === undefined;
}

function renderTable(table: DataTable, title: string, isOpen: boolean): string {
  const head = table.columns
    .map((column) => `<th scope="col"${column.kind === 'number' ? ' class="n"' : ''}>${escapeHtml(column.label)}</th>`)
    .join('');
  const rows = table.rows
    .map(
      (row, line) =>
        `<tr>${row.map((cell, index) => linked(renderCell(cell, table.columns[index]!), table.links?.[line]?.[index])).join('')}</tr>`,
    )
    .join('\n');
  return [
    `<details${isOpen ? ' open' : ''}><summary>The numbers<span class="hidden"> of: ${escapeHtml(title)}</span></summary>`,
    `<div class="scroll" tabindex="0" role="region" aria-label="${escapeHtml(`Numbers: ${title}`)}"><table>`,
    `<thead><tr>${head}</tr></thead>`,
    `<tbody>${rows}</tbody>`,
    '</table></div>',
    table.remark ? `<p class="note">${escapeHtml(table.remark)}</p>` : '',
    '</details>',
  ].join('\n');
}

/** The inside of a cell as a link. */
function linked(cell: string, href: string | undefined): string {
  return href === undefined
    ? cell
    : cell.replace(/^(<td[^>]*>)(.*)(<\/td>)$/s, `$1<a href="${escapeHtml(href)}">$2</a>$3`);
}

function renderCell(cell: Cell, column: Column): string {
  if (cell === null) return `<td${column.kind === 'number' ? ' class="n"' : ''}><span class="none">none</span></td>`;
  if (column.kind === 'text') return `<td>${isolated(String(cell))}</td>`;
  const value = Number(cell);
  const shown = column.format ? column.format(value) : value.toLocaleString('en-US');
  // The unrounded number travels along: people copy it, tests compare it.
  return `<td class="n"><data value="${escapeHtml(String(cell))}">${escapeHtml(shown)}</data></td>`;
}

function isolated(text: string, maxChars?: number): string {
  return `<bdi>${escapeHtml(cleanText(text, maxChars))}</bdi>`;
}

/** Each character once, in order. A set made of a whole page takes ten times as long. */
function charactersOf(text: string): string[] {
  const isThere = new Uint8Array(0x110000);
  for (let at = 0; at < text.length; at += 1) {
    const codePoint = text.codePointAt(at)!;
    isThere[codePoint] = 1;
    if (codePoint > 0xffff) at += 1;
  }
  const found: string[] = [];
  for (let at = isThere.indexOf(1); at >= 0; at = isThere.indexOf(1, at + 1)) found.push(String.fromCodePoint(at));
  return found;
}

/**
 * `@font-face` rules that hold the characters which the page shows and no others; of a page that is served
 * their neighbours too.
 */
async function fontRules(body: string, isServed: boolean): Promise<string> {
  const used = charactersOf(body);
  // What joins characters is in many faces, and each needs its own.
  const own = isServed ? roundedUp(used) : used.join('');
  const foreign = used.filter((each) => !fontFace(400).has(each.codePointAt(0)!) || JOINING.test(each)).join('');
  const faces = [fontFace(400), fontFace(600), ...supplements(foreign)];
  const rules = faces.map(async (face) => {
    const characters = face.family === FONT ? own : foreign;
    const woff = Buffer.from(await face.subset(characters)).toString('base64');
    return `@font-face{font-family:'${face.family}';font-weight:${face.weight};src:url(data:font/woff;base64,${woff}) format('woff')}`;
  });
  return (await Promise.all(rules)).join('\n');
}
