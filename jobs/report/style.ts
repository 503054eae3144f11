import { CATEGORIES, FONT_STACK, HUES, type Hue, NARROW, SEQUENCE, TOKENS } from './theme.ts';

/**
 * The page's style sheet: tokens as custom properties, charts mapped to them by the colours they were drawn
 * with.
 */
export function stylesheet(): string {
  sheet ??= compose();
  return sheet;
}
let sheet: string | undefined;

function compose(): string {
  const pairs: [string, readonly [string, string]][] = [
    ...Object.entries(TOKENS).map(([name, pair]): [string, readonly [string, string]] => [
      name.replace(/[A-Z]/g, (mark) => `-${mark.toLowerCase()}`),
      pair,
    ]),
    ...SEQUENCE.map((pair, index): [string, readonly [string, string]] => [`seq-${index}`, pair]),
    ...CATEGORIES.map((pair, index): [string, readonly [string, string]] => [`cat-${index}`, pair]),
  ];
  const values = (scheme: 0 | 1): string => pairs.map(([name, pair]) => `--${name}:${pair[scheme]}`).join(';');
  const mapped = pairs.map(
    ([name, [light]]) =>
      `.chart [fill="${light}"]{fill:var(--${name})}.chart [stroke="${light}"]{stroke:var(--${name})}`,
  );
  return `
:root{color-scheme:light dark;${values(0)}}
@media screen and (prefers-color-scheme:dark){:root{${values(1)}}}
${HUES.slice(1)
  .map(
    (hue) =>
      `.hue-${hue.name}{${hueValues(hue, 0)}}@media screen and (prefers-color-scheme:dark){.hue-${hue.name}{${hueValues(hue, 1)}}}`,
  )
  .join('\n')}
${mapped.join('\n')}
${RULES}`;
}

/** What the tokens of the first hue are in a chapter of this one. */
function hueValues({ primary, soft, sequence }: Hue, scheme: 0 | 1): string {
  const steps = sequence.map((pair, index) => `--seq-${index + 1}:${pair[scheme]}`);
  return [`--primary:${primary[scheme]}`, `--primary-soft:${soft[scheme]}`, ...steps].join(';');
}

/**
 * A figure is not parted between two sheets of paper. No chart is taller than this, so what a figure leaves
 * empty by moving to the next sheet is less than half of one (A4: 265 mm to print on).
 */
const PRINTED_CHART_MAX_MM = 100;

const RULES = `
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--page);color:var(--text);font:400 16px/1.55 ${FONT_STACK};text-rendering:optimizeLegibility}
.page{max-width:1008px;margin:0 auto;padding:56px 24px 72px}
h1,h2,h3,p,dl,dd,figure{margin:0}
h1{font-size:40px;line-height:1.15;font-weight:600;letter-spacing:-.022em}
h2{font-size:26px;line-height:1.25;font-weight:600;letter-spacing:-.016em}
h3{font-size:17px;line-height:1.35;font-weight:600;letter-spacing:-.006em}
b{font-weight:600}
.facts{margin-top:12px;color:var(--muted);display:flex;flex-wrap:wrap;gap:2px 0}
.facts span:not(:last-child)::after{content:"·";padding:0 .5em}
.notice{margin-top:20px;padding:14px 18px;border-left:3px solid var(--accent);background:var(--panel);border-radius:0 6px 6px 0;max-width:76ch}
.hero{margin-top:44px;display:grid;grid-template-columns:repeat(3,1fr);gap:40px 32px}
.hero div{min-width:0}
.hero div:first-child{grid-column:1/-1}
.hero dt{font-size:15px;color:var(--muted)}
.hero b{display:block;font-size:34px;line-height:1.15;letter-spacing:-.022em;color:var(--primary);overflow-wrap:anywhere}
.hero b.long{font-size:22px}
.hero div:first-child b{font-size:88px;line-height:1.05;letter-spacing:-.035em}
.hero span{display:block;margin-top:8px;color:var(--text);max-width:60ch}
.hero div:first-child span{font-size:19px}
.cards{list-style:none;margin:40px 0 0;padding:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,260px),1fr));gap:16px}
.cards a{display:block;height:100%;padding:20px 22px;border:1px solid var(--line);border-radius:10px;background:var(--panel);color:var(--text);text-decoration:none;overflow-wrap:anywhere}
.cards a:hover{border-color:var(--primary)}
.cards b{display:block;font-size:22px;line-height:1.25;color:var(--primary)}
.cards span{display:block;margin-top:4px;font-size:14.5px}
.quiet{font-size:13.5px;line-height:1.5;color:var(--muted)}
.quiet h2{font-size:17px;border-bottom:1px solid var(--line);color:var(--text)}
.quiet p{margin-top:10px;max-width:88ch}
.quiet ul{margin:10px 0 0;padding-left:18px;max-width:88ch}
.quiet+.quiet{margin-top:40px}
[class^="hue-"]>h2{border-bottom-color:var(--primary)}
footer nav{margin:0 0 12px}
.tiles{margin-top:36px;display:grid;grid-template-columns:repeat(6,1fr);border-top:1px solid var(--line);border-bottom:1px solid var(--line)}
.tile{padding:18px 16px 16px 0;display:flex;flex-direction:column}
.tile+.tile{padding-left:16px;border-left:1px solid var(--line)}
.tile dt{font-size:13px;color:var(--muted)}
.tile b{display:block;font-size:27px;line-height:1.25;letter-spacing:-.02em;white-space:nowrap}
.tile span{font-size:12.5px;line-height:1.35;color:var(--muted);display:block;margin-top:2px}
nav{margin-top:20px;display:flex;flex-wrap:wrap;gap:4px 22px;font-size:14.5px}
nav a{color:var(--primary);text-decoration:none;padding:4px 0}
nav a:hover{text-decoration:underline}
a:focus-visible,summary:focus-visible,.scroll:focus-visible{outline:2px solid var(--primary);outline-offset:3px;border-radius:3px}
section{margin-top:72px}
section>h2{padding-bottom:12px;border-bottom:2px solid var(--text)}
figure{margin-top:36px}
figure+figure{margin-top:56px}
figcaption p{margin-top:4px;max-width:76ch}
.chart{margin-top:18px}
.chart svg{display:block;width:100%;height:auto;font-family:${FONT_STACK}}
.chart.narrow{display:none}
.chart text{font-family:${FONT_STACK}}
.missing{margin-top:14px;padding:18px 20px;background:var(--panel);border-radius:8px;max-width:76ch}
.note{margin-top:10px;font-size:13.5px;line-height:1.5;color:var(--muted);max-width:88ch}
.chart+.note,.missing+.note{margin-top:16px}
details{margin-top:10px;font-size:13.5px}
summary{cursor:pointer;color:var(--primary);width:max-content;padding:4px 0}
.scroll{margin-top:8px;max-height:420px;overflow:auto;border:1px solid var(--line);border-radius:8px}
table{border-collapse:collapse;width:100%;line-height:1.4}
th,td{text-align:left;padding:7px 14px;vertical-align:top;border-bottom:1px solid var(--line);overflow-wrap:break-word;min-width:8ch}
tbody tr:last-child td{border-bottom:0}
th{position:sticky;top:0;background:var(--panel);color:var(--muted);font-weight:600;white-space:nowrap}
.n{text-align:right;white-space:nowrap;min-width:0}
.n data{font-variant-numeric:tabular-nums}
.none{color:var(--muted)}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
footer{margin-top:80px;padding-top:20px;border-top:1px solid var(--line);font-size:13.5px;color:var(--muted)}
footer p+p{margin-top:6px}
@media screen and (max-width:900px){.tiles{grid-template-columns:repeat(3,1fr)}.tile:nth-child(3n+1){padding-left:0;border-left:0}.tile:nth-child(n+4){border-top:1px solid var(--line)}}
@media screen and (max-width:640px){
.page{padding:32px 24px 48px}
h1{font-size:31px}
h2{font-size:23px}
section{margin-top:56px}
.tiles{grid-template-columns:repeat(2,1fr);margin-top:28px}
.tile:nth-child(n){padding:14px 12px 12px 0;border-left:0;border-top:1px solid var(--line)}
.tile:nth-child(-n+2){border-top:0}
.tile:nth-child(even){padding-left:16px;border-left:1px solid var(--line)}
.tile b{font-size:24px}
.hero{grid-template-columns:1fr;gap:28px;margin-top:32px}
.hero div:first-child b{font-size:52px}
.hero b{font-size:30px}
.hero div:first-child span{font-size:17px}
.chart.wide{display:none}
.chart.narrow{display:block;max-width:${NARROW.width + 60}px}
th,td{padding:7px 10px;min-width:13ch}
.n{min-width:0}
}
@media print{
@page{margin:16mm 14mm}
body{font-size:9.5pt;line-height:1.45}
h1{font-size:24pt}
h2{font-size:16pt}
h3{font-size:11pt}
.tile b{font-size:15pt}
.hero b{font-size:18pt}
.hero div:first-child b{font-size:40pt}
.hero span,.hero div:first-child span{font-size:9.5pt}
.cards li,.hero div,.quiet p,.quiet li{break-inside:avoid}
.tile dt,.tile span,.note,details,footer{font-size:8pt}
figure,figure+figure{margin-top:18pt}
footer{margin-top:18pt}
th,td{padding:2pt 6pt}
.page{max-width:none;padding:0}
nav,details:not([open]){display:none}
section{margin-top:24pt}
figure,.tile,tr{break-inside:avoid}
h2,figcaption{break-after:avoid}
.chart+.note{break-before:avoid}
.chart svg{width:auto;max-width:100%;max-height:${PRINTED_CHART_MAX_MM}mm}
.scroll{max-height:none;overflow:visible}
th{position:static}
}
`;
