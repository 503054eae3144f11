import type { Server } from 'node:http';
import { createAdaptorServer } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { compress } from 'hono/compress';
import { getCookie, setCookie } from 'hono/cookie';
import { describeError, type ExitName, JobError } from '../base/errors.ts';
import type { Effects } from '../effects/index.ts';
import { csvText } from '../engine/csv-text.ts';
import type { Target } from '../lake/keys.ts';
import { drawPage, titled } from '../report/draw.ts';
import type { Figure } from '../report/figure.ts';
import { renderPng, renderSvg } from '../report/render.ts';
import type { Access } from './access.ts';
import { openPress } from './edition.ts';
import { type MadePage, makePage, PAGES, type Page } from './pages.ts';
import { shellOf } from './shell.ts';

type Sources = Pick<Effects, 'engine' | 'log' | 'signal' | 'store'>;

/** A drawn page, and its figures for downloads. */
interface PrintedPage extends MadePage {
  html: string;
}

/**
 * Nothing is loaded from anywhere, and no script runs: not ours, not one of a name in the data. Charts carry
 * their widths as styles of their own.
 */
const POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const COOKIE = 'listenlake';
const DOWNLOADS = { csv: 'text/csv; charset=utf-8', svg: 'image/svg+xml', png: 'image/png' } as const;
const STATUS: Partial<Record<ExitName, 400 | 503>> = {
  usage: 400,
  tempfail: 503,
  unavailable: 503,
  io: 503,
  data: 503,
};
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
const CONNECTIONS_MAX = 512;

/** An HTTP server of the dashboard that does not listen yet. It only reads, and only answers GET and HEAD. */
export function dashboardServer(sources: Sources, target: Target, access: Access): Server {
  const app = new Hono();
  const press = openPress(sources, target);
  app.use(async (context, next) => {
    const refusal = refusalOf(context, access);
    if (refusal === undefined) await next();
    else context.res = refusal;
    secure(context);
  });
  app.use(compress());
  const printed = (page: Page, query: URLSearchParams): Promise<PrintedPage> =>
    press.print(`${page.path}?${sorted(query)}`, async (edition) => {
      const made = await makePage(page, { edition, query }, sources);
      return { ...made, html: await drawn(page, made, query) };
    });
  for (const page of PAGES)
    app.get(page.path, async (context) => context.html((await printed(page, queryOf(context))).html));
  app.get('/download/:page/:file', async (context) => {
    const { page: name, file } = context.req.param();
    const [, figureName, format] = /^([a-z0-9-]+)\.(csv|svg|png)$/.exec(file) ?? [];
    const page = PAGES.find((each) => each.name === name);
    if (page === undefined || figureName === undefined) return nothingHere(context);
    const { content } = await printed(page, queryOf(context));
    const figure = content.sections.flatMap(({ figures }) => figures).find((each) => each.name === figureName);
    const bytes = figure && (await downloadOf(figure, format as keyof typeof DOWNLOADS));
    if (bytes === undefined) return nothingHere(context);
    context.header('content-type', DOWNLOADS[format as keyof typeof DOWNLOADS]);
    context.header('content-disposition', `attachment; filename="${file}"`);
    return context.body(typeof bytes === 'string' ? bytes : new Uint8Array(bytes));
  });
  app.notFound(nothingHere);
  app.onError((error, context) => failed(context, error, sources));
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.maxConnections = CONNECTIONS_MAX;
  return server;
}

/** An answer to whoever may not have any other; undefined where the request may go on. */
function refusalOf(context: Context, access: Access): Response | undefined {
  const { method } = context.req;
  if (!access.isHostAllowed(context.req.header('host')))
    return plain(403, 'This server answers under localhost and 127.0.0.1 only (another name in Host).');
  if (method !== 'GET' && method !== 'HEAD') return plain(405, 'This server only reads: GET and HEAD.');
  if (access.token === undefined) return undefined;
  const url = new URL(context.req.url);
  const given = url.searchParams.get('token');
  if (given === null)
    return access.isToken(getCookie(context, COOKIE))
      ? undefined
      : plain(401, 'Open the address that listenlake serve has printed: it has the token in it.');
  if (!access.isToken(given))
    return plain(401, 'This token is wrong. Open the address that listenlake serve has printed.');
  setCookie(context, COOKIE, given, { httpOnly: true, sameSite: 'Lax', path: '/' });
  url.searchParams.delete('token');
  return context.redirect(url.pathname + url.search, 303);
}

function secure({ res }: Context): void {
  const headers = {
    'content-security-policy': POLICY,
    'cache-control': 'no-store',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
  };
  for (const [name, value] of Object.entries(headers)) res.headers.set(name, value);
}

async function drawn(page: Page, { content, asked, filters, form }: MadePage, query: URLSearchParams): Promise<string> {
  const search = sorted(query) === '' ? '' : `?${sorted(query)}`;
  const around = shellOf({ ...{ page, filters, search, form, asked }, pages: navigation() });
  return (await drawPage({ key: page.name, chartKey: (name) => name, content }, { hasPngs: false }, () => {}, around))
    .html;
}

function navigation() {
  return PAGES.flatMap(({ path, title, takes }) => (title === undefined ? [] : [{ path, title, takes }]));
}

/** What a figure can be downloaded as; undefined where it has no such form. */
async function downloadOf(figure: Figure, format: keyof typeof DOWNLOADS): Promise<string | Uint8Array | undefined> {
  if (format === 'csv') {
    const { table } = figure;
    return table && csvText({ columns: table.columns.map(({ label }) => ({ name: label })), rows: table.rows });
  }
  if (figure.chart === undefined) return undefined;
  const svg = await renderSvg(titled(figure));
  return format === 'svg' ? svg : renderPng(svg);
}

/**
 * What was expected to go wrong is told with what to do; the page stays. A bug is told in the log and ends
 * with 500: others look at the same server.
 */
async function failed(context: Context, error: Error, { log, signal }: Sources): Promise<Response> {
  const isExpected = error instanceof JobError;
  if (!isExpected && !signal.aborted) log.error({ err: error }, 'a page failed');
  const status = (isExpected ? STATUS[error.exit] : undefined) ?? 500;
  const said = isExpected ? describeError(error) : 'This page failed: it is a bug, and the log has it.';
  if (status === 503) context.header('retry-after', '5');
  return context.html(
    await messagePage(isExpected && status === 400 ? 'This cannot be shown' : 'Not now', said),
    status,
  );
}

async function nothingHere(context: Context): Promise<Response> {
  return context.html(
    await messagePage('Nothing is here', 'There is no such page. The navigation leads to all of them.'),
    404,
  );
}

async function messagePage(title: string, notice: string): Promise<string> {
  const content = { title, facts: [], notices: [notice], headlines: [], sections: [], footer: [] };
  const page = { name: 'message', path: '' };
  const around = shellOf({ page, pages: navigation(), filters: undefined, search: '', form: '', asked: new Map() });
  return (await drawPage({ key: 'message', chartKey: (name) => name, content }, { hasPngs: false }, () => {}, around))
    .html;
}

function plain(status: number, text: string): Response {
  return new Response(`${text}\n`, { status, headers: { 'content-type': 'text/plain; charset=utf-8' } });
}

function queryOf(context: Context): URLSearchParams {
  return new URL(context.req.url).searchParams;
}

/** The same filters in another order are the same page; empty ones are none. */
function sorted(query: URLSearchParams): string {
  const kept = new URLSearchParams([...query].filter(([, value]) => value !== ''));
  kept.sort();
  return kept.toString();
}
