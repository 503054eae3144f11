import fc from 'fast-check';
import { createJsonScanner } from '../../jobs/formats/json/scanner.ts';
import { rowsIn } from '../../jobs/formats/json/values.ts';

const object = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 4 });
const FORMS: [name: string, write: (rows: readonly unknown[], indent: number) => string][] = [
  ['a list', (rows, indent) => JSON.stringify(rows, null, indent)],
  ['lines', (rows) => rows.map((row) => JSON.stringify(row)).join('\n')],
  ['one value', ([row], indent) => JSON.stringify(row, null, indent)],
];

async function* inPortions(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

test.each(FORMS)('of %s: every row as it stands, however the bytes are portioned', async (_, write) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(object, { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 0, max: 2 }),
      fc.integer({ min: 1, max: 40 }),
      fc.boolean(),
      async (rows, indent, size, hasMark) => {
        const bytes = Buffer.from(`${hasMark ? '\ufeff' : ''}${write(rows, indent)}\n`);
        const scanner = createJsonScanner();
        scanner.write(bytes);
        const { form } = scanner.end();
        const found: unknown[] = [];
        for await (const text of rowsIn(inPortions(bytes, size), form)) found.push(JSON.parse(text));
        const written = rows.map((row) => JSON.parse(JSON.stringify(row)));
        expect(found).toEqual(write === FORMS.at(-1)![1] ? written.slice(0, 1) : written);
      },
    ),
  );
});
