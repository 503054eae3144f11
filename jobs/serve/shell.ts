import { escapeHtml } from '../report/format.ts';
import type { Surroundings } from '../report/page.ts';
import { type Filters, searchOf } from './filters.ts';

/** Around the figures of a page: ways to the others, the statements behind each figure, and its downloads. */
export interface ShellInput {
  /** Of the page itself: its name in addresses of downloads, and its path. */
  page: { name: string; path: string };
  /** The pages of the navigation. */
  pages: readonly { path: string; title: string; takes: readonly string[] }[];
  filters: Filters | undefined;
  /** The address behind `?`, as it was asked. */
  search: string;
  form: string;
  asked: ReadonlyMap<string, readonly string[]>;
}

/** Makes the surroundings of one page. Every value in them is ours, or escaped. */
export function shellOf({ page, pages, filters, search, form, asked }: ShellInput): Surroundings {
  const links = pages.map(({ path, title, takes }) => {
    const href = path + searchOf(filters, undefined, takes);
    const current = path === page.path ? ' aria-current="page"' : '';
    return `<a href="${escapeHtml(href)}"${current}>${escapeHtml(title)}</a>`;
  });
  return {
    style: STYLE,
    top: `<a class="skip" href="#content">To the content</a><nav class="pages" aria-label="Pages"><b>listenlake</b>${links.join('')}</nav>`,
    form: `<div id="content">${form}</div>`,
    afterFigure(figure) {
      const ways = [...(figure.table ? ['csv'] : []), ...(figure.chart ? ['svg', 'png'] : [])].map(
        (format) =>
          `<a href="${escapeHtml(`/download/${page.name}/${figure.name}.${format}${search}`)}">${format.toUpperCase()}<span class="hidden"> of: ${escapeHtml(figure.title)}</span></a>`,
      );
      const downloads = ways.length === 0 ? '' : `<p class="downloads">Download ${ways.join(' ')}</p>`;
      return downloads + statements(figure.title, asked.get(figure.name));
    },
    afterSection: (section) => statements(section.title, asked.get(section.id)),
  };
}

function statements(title: string, texts: readonly string[] | undefined): string {
  if (texts === undefined || texts.length === 0) return '';
  const label = escapeHtml(`SQL: ${title}`);
  return [
    `<details><summary>The SQL<span class="hidden"> of: ${escapeHtml(title)}</span></summary>`,
    `<pre class="scroll" tabindex="0" role="region" aria-label="${label}">${escapeHtml(texts.join(';\n\n'))}</pre>`,
    '</details>',
  ].join('');
}

const STYLE = `
.skip{position:absolute;left:-999px}
.skip:focus{position:static;display:inline-block;padding:6px 0}
.pages{margin:0 0 36px;padding-bottom:14px;border-bottom:1px solid var(--line);font-size:15px}
.pages b{padding:4px 0;margin-right:10px}
.pages [aria-current]{color:var(--text);font-weight:600}
.filters{margin-top:24px;padding:16px 18px;border:1px solid var(--line);border-radius:10px;background:var(--panel);display:flex;flex-wrap:wrap;gap:12px 14px;align-items:flex-end}
.filters label{display:flex;flex-direction:column;gap:4px;font-size:13px;color:var(--muted)}
.filters select,.filters input,.filters button{font:inherit;font-size:14.5px;min-height:38px;max-width:100%;padding:5px 9px;border:1px solid var(--muted);border-radius:6px;background:var(--page);color:var(--text)}
.filters button{background:var(--primary);border-color:var(--primary);color:var(--page);font-weight:600;padding:5px 14px;cursor:pointer}
.filters select{max-width:150px}
.filters input{max-width:142px}
.filters a,td a,.downloads a{color:var(--primary)}
.filters a{padding:8px 0;font-size:14.5px}
.filters :focus-visible{outline:2px solid var(--primary);outline-offset:2px}
.downloads{margin-top:10px;font-size:13.5px;color:var(--muted);display:flex;gap:14px}
pre.scroll{padding:12px 14px;font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;background:var(--panel);user-select:all}
details summary{min-height:24px}
td a{display:inline-block;min-height:24px}
@media screen and (max-width:640px){.filters label{flex:1 1 130px;min-width:0}.filters select,.filters input{width:100%;max-width:none}}
@media print{.filters,.downloads,.skip{display:none}}
`;
