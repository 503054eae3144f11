import type { Cell, Column, DataTable, Figure, Headline, Section } from './figure.ts';
import { fontFace } from './font.ts';
import { cleanText, escapeHtml } from './format.ts';
import { stylesheet } from './style.ts';
import { FONT } from './theme.ts';

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
}

/** A figure's drawings for the page: SVG text made by us. */
export interface Drawing {
  wide: string;
  narrow: string;
}

/**
 * The whole report as one HTML text: style, font and charts are inside, nothing is loaded, no script is there
 * and none may run (CSP).
 *
 * Text from data is cleaned, escaped and isolated, so that it can neither become markup nor reorder the text
 * around it.
 */
export async function renderPage(content: PageContent, drawings: ReadonlyMap<string, Drawing>): Promise<string> {
  const body = [
    renderHeader(content),
    ...content.sections.map((section) => renderSection(section, drawings)),
    `<footer>${content.footer.map((line) => `<p>${escapeHtml(line)}</p>`).join('')}</footer>`,
  ].join('\n');
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; form-action 'none'">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="referrer" content="no-referrer">',
    '<meta name="color-scheme" content="light dark">',
    `<title>${escapeHtml(content.title)}</title>`,
    '<link rel="icon" href="data:,">',
    `<style>${await fontRules(body)}${stylesheet()}</style>`,
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

function renderHeader(content: PageContent): string {
  const tiles = content.headlines.map(
    ({ label, value, detail }) =>
      `<div class="tile"><dt>${escapeHtml(label)}</dt><dd><b>${escapeHtml(value)}</b>${detail ? `<span>${escapeHtml(detail)}</span>` : ''}</dd></div>`,
  );
  const links = content.sections.map((section) => `<a href="#${section.id}">${escapeHtml(section.title)}</a>`);
  return [
    '<header>',
    `<h1>${escapeHtml(content.title)}</h1>`,
    `<p class="facts">${content.facts.map((fact) => `<span>${isolated(fact)}</span>`).join('')}</p>`,
    ...content.notices.map((notice) => `<p class="notice">${escapeHtml(notice)}</p>`),
    tiles.length > 0 ? `<dl class="tiles">${tiles.join('')}</dl>` : '',
    links.length > 1 ? `<nav aria-label="Sections">${links.join('')}</nav>` : '',
    '</header>',
  ].join('\n');
}

function renderSection(section: Section, drawings: ReadonlyMap<string, Drawing>): string {
  const figures = section.figures.map((figure) => renderFigure(figure, drawings.get(figure.name)));
  return `<section id="${section.id}">\n<h2>${escapeHtml(section.title)}</h2>\n${figures.join('\n')}\n</section>`;
}

function renderFigure(figure: Figure, drawing: Drawing | undefined): string {
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
    figure.table ? renderTable(figure.table, figure.title, drawing === undefined) : '',
    '</figure>',
  ].join('\n');
}

/**
 * Ids inside an SVG are made unique in the page, and the image is one thing with one name for screen readers:
 * its numbers are in the table.
 */
function chartBox(kind: 'wide' | 'narrow', svg: string, prefix: string, label: string): string {
  const inner = svg
    .replace(/^<svg[^>]*viewBox="([^"]*)"[^>]*>/, (_, box: string) => {
      const [, , width] = box.split(' ');
      return `<svg role="img" aria-label="${label}" viewBox="${box}" style="max-width:${Math.ceil(Number(width))}px">`;
    })
    .replace(/(<[^<>]*\sid=")([a-z0-9_]+")/gi, `$1${prefix}-$2`)
    .replace(/url\(#([a-z0-9_]+)\)/gi, `url(#${prefix}-$1)`);
  return `<div class="chart ${kind}">${inner}</div>`;
}

function renderTable(table: DataTable, title: string, isOpen: boolean): string {
  const head = table.columns
    .map((column) => `<th scope="col"${column.kind === 'number' ? ' class="n"' : ''}>${escapeHtml(column.label)}</th>`)
    .join('');
  const rows = table.rows
    .map((row) => `<tr>${row.map((cell, index) => renderCell(cell, table.columns[index]!)).join('')}</tr>`)
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

function renderCell(cell: Cell, column: Column): string {
  if (cell === null) return `<td${column.kind === 'number' ? ' class="n"' : ''}><span class="none">none</span></td>`;
  if (column.kind === 'text') return `<td>${isolated(String(cell))}</td>`;
  const value = Number(cell);
  const shown = column.format ? column.format(value) : value.toLocaleString('en-US');
  // The unrounded number travels along: people copy it, tests compare it.
  return `<td class="n"><data value="${escapeHtml(String(cell))}">${escapeHtml(shown)}</data></td>`;
}

function isolated(text: string): string {
  return `<bdi>${escapeHtml(cleanText(text))}</bdi>`;
}

/** `@font-face` rules that hold the characters which the page shows and no others. */
async function fontRules(body: string): Promise<string> {
  const used = [...new Set(body)].sort().join('');
  const rules = ([400, 600] as const).map(async (weight) => {
    const woff = Buffer.from(await fontFace(weight).subset(used)).toString('base64');
    return `@font-face{font-family:'${FONT}';font-weight:${weight};src:url(data:font/woff;base64,${woff}) format('woff')}`;
  });
  return (await Promise.all(rules)).join('\n');
}
