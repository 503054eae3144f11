import fc from 'fast-check';
import { JobError } from '../../jobs/base/errors.ts';
import { createJsonScanner, JSON_DEPTH_MAX, type JsonScan } from '../../jobs/formats/json/scanner.ts';

/** The scan, or the fault with its place. Portions: sizes of the chunks, repeated. */
function scan(
  input: string | Uint8Array,
  portions: readonly number[] = [1 << 20],
): JsonScan | { code: string; place: object } {
  const bytes = typeof input === 'string' ? Buffer.from(input) : input;
  const scanner = createJsonScanner();
  try {
    for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
      const size = portions[turn % portions.length]!;
      scanner.write(bytes.subarray(at, at + size));
      at += size;
    }
    return scanner.end();
  } catch (error) {
    if (!(error instanceof JobError)) throw error;
    expect([error.exit, error.hint]).toEqual(['data', expect.any(String)]);
    return { code: error.code, place: error.place };
  }
}

function codeOf(input: string | Uint8Array): string {
  const result = scan(input);
  return 'code' in result ? result.code : 'valid';
}

describe('the strict JSON scanner', () => {
  it('tells form, rows and keys of the rows', () => {
    const found = scan('[{"ts":"a","x":{"inner":1}}, {"ts":null,"\\u0079":[{"z":1}]}]') as JsonScan;
    expect(found).toMatchObject({
      form: 'array',
      rows: 2,
      firstOtherRow: undefined,
      hasBom: false,
      hasLongNumber: false,
    });
    expect([...found.keys]).toEqual([
      ['ts', 2],
      ['x', 1],
      ['y', 1],
    ]);
    expect(scan('{"a":1}\n\n{"a":2}\r\n')).toMatchObject({ form: 'lines', rows: 2 });
    expect(scan('{\n"a": 1\n}\n')).toMatchObject({ form: 'value', rows: 1, hasBreakInValue: true });
    expect(scan('[{}, 3]')).toMatchObject({ rows: 2, firstOtherRow: { row: 2, byte: 5 } });
  });

  it.each([
    ['F23: an empty file', '', 'file_empty', {}],
    ['F23: white space only', ' \n ', 'file_empty', {}],
    ['F23: something after the array', '[] x', 'json_trailing', { byte: 3 }],
    ['F23: a second array', '[1]\n[2]', 'json_trailing', { byte: 4 }],
    ['F23: two objects on one line', '{"a":1} {"a":2}', 'json_trailing', { byte: 8 }],
    ['F15: an array that is cut between rows', '[{"a":1},', 'json_truncated', { byte: 9 }],
    ['F15: an array that is cut inside a text', '[{"a":1},{"a":"xy', 'json_truncated', { byte: 17, row: 2 }],
    ['F14: a bare word', '[{"a":1},{"a":nope}]', 'json_malformed', { byte: 14, row: 2 }],
    ['F14: a trailing comma', '[{"a":1},]', 'json_malformed', { byte: 9 }],
    ['F14: a comment', '[1 /* */]', 'json_malformed', { byte: 3 }],
    ['F14: single quotes', "[{'a':1}]", 'json_malformed', { byte: 2 }],
    ['F14: a raw line break in a text', '["a\nb"]', 'json_malformed', { byte: 3 }],
    ['F14: a leading zero', '[01]', 'json_malformed', { byte: 1 }],
    ['F21: NaN', '[{"a":NaN}]', 'json_malformed', { byte: 6, row: 1 }],
    ['F21: Infinity', '[-Infinity]', 'json_malformed', { byte: 1 }],
    ['F21: a key twice', '[{"a":1},{"a":1,"b":2,"a":3}]', 'json_duplicate_key', { byte: 22, row: 2 }],
    ['F21: a key twice, once escaped', '[{"a":1,"\\u0061":2}]', 'json_duplicate_key', { byte: 8, row: 1 }],
    ['F21: a key twice around an inner object', '[{"a":{"a":1},"a":2}]', 'json_duplicate_key', { byte: 14, row: 1 }],
    ['F20: half a character, escaped', '["\\ud83d"]', 'json_surrogate', { byte: 2 }],
    ['F20: the second half first', '["\\ude00\\ud83d"]', 'json_surrogate', { byte: 2 }],
  ])('%s: %s is %s', (_name, input, code, place) => {
    expect(scan(input)).toEqual({ code, place: expect.objectContaining(place) });
  });

  it('F20: bytes that are not UTF-8 are refused at their place, never replaced', () => {
    const bytes = Buffer.concat([Buffer.from('["é'), Buffer.from([0xff]), Buffer.from('"]')]);
    expect(scan(bytes)).toEqual({ code: 'encoding_invalid', place: expect.objectContaining({ byte: 4 }) });
    // A surrogate encoded as if it were a character, an overlong slash; a character cut by the end is a cut
    // file.
    expect(codeOf(Buffer.from([0x5b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x5d]))).toBe('encoding_invalid');
    expect(codeOf(Buffer.from([0x5b, 0x22, 0xc0, 0xaf, 0x22, 0x5d]))).toBe('encoding_invalid');
    expect(codeOf(Buffer.from([0x5b, 0x22, 0xe2, 0x82]))).toBe('json_truncated');
  });

  it('F19: a byte order mark is accepted, UTF-16 is named', () => {
    expect(scan('\ufeff[{"a":1}]')).toMatchObject({ rows: 1, hasBom: true });
    expect(codeOf(Buffer.from('\ufeff[]', 'utf16le'))).toBe('encoding_utf16');
    expect(codeOf(Buffer.from('[{"a":1}]', 'utf16le'))).toBe('encoding_utf16');
    expect(codeOf(Buffer.from('\ufeff[]', 'utf16le').swap16())).toBe('encoding_utf16');
  });

  it('F22: nesting is refused beyond 64 levels, at the byte where it goes too deep', () => {
    expect(codeOf('['.repeat(JSON_DEPTH_MAX) + ']'.repeat(JSON_DEPTH_MAX))).toBe('valid');
    expect(scan('['.repeat(100_000))).toEqual({
      code: 'json_too_deep',
      place: expect.objectContaining({ byte: JSON_DEPTH_MAX }),
    });
  });

  it('F24: one huge text, one huge row, one object of a million keys are refused in bounded memory', () => {
    const huge = Buffer.alloc(200 * 1024 ** 2, 'x');
    huge.write('[{"a":"');
    const before = process.memoryUsage().arrayBuffers;
    expect(scan(huge)).toEqual({ code: 'json_row_too_large', place: { byte: 1, row: 1 } });
    // All that was ever allocated: the unfinished text was copied once a chunk, up to the limit of a row.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100 * 1024 ** 2);
    const keys = `{${Array.from({ length: 20_000 }, (_, k) => `"k${k}":1`).join(',')}}`;
    expect(codeOf(keys)).toBe('json_too_many_keys');
  });

  it('F21: integers beyond 2^53 pass and are pointed out', () => {
    expect(scan('[{"a":9007199254740993}]')).toMatchObject({ rows: 1, hasLongNumber: true });
  });

  it('F23: an empty array has no rows', () => {
    expect(scan(' [ ] ')).toMatchObject({ form: 'array', rows: 0 });
  });

  it('S26: texts of a million characters take no longer than their length says', () => {
    for (const text of ['a'.repeat(1e6), '\\\\'.repeat(5e5), '\\u0061'.repeat(1e5), 'é'.repeat(5e5)]) {
      const started = process.cpuUsage();
      expect(codeOf(`["${text}"]`)).toBe('valid');
      // Milliseconds of the processor, and a thousand times more where each character looks back at those
      // before it.
      expect(process.cpuUsage(started).user / 1000).toBeLessThan(10_000);
    }
  });

  it('agrees with JSON.parse on every valid value, whatever the portions', () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 5 }),
        fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }),
        fc.boolean(),
        (value, portions, isPretty) => {
          const text = JSON.stringify(value, null, isPretty ? 2 : 0);
          const whole = scan(text);
          // fast-check makes lone surrogates in keys and texts too; JSON.stringify escapes them.
          if ('code' in whole) expect(whole.code).toBe('json_surrogate');
          else expect(whole.rows).toBe(Array.isArray(value) ? value.length : 1);
          expect(scan(text, portions)).toEqual(whole);
        },
      ),
      { numRuns: 1_000, seed: 3 },
    );
  });

  it('agrees with JSON.parse on damaged bytes, except where it is documented to be stricter', () => {
    const stricter = new Set(['json_surrogate', 'json_duplicate_key', 'encoding_utf16']);
    const damage = fc.record({
      at: fc.nat(),
      kind: fc.constantFrom('replace', 'insert', 'remove'),
      byte: fc.constantFrom(...Buffer.from('[]{}",:\\u0dE+-.tn \n'), 0xc3, 0xff, 0),
    });
    let [accepted, refused] = [0, 0];
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 4 }),
        fc.array(damage, { maxLength: 3 }),
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 }),
        (value, damages, portions) => {
          let bytes = Buffer.from(JSON.stringify(value));
          for (const { at, kind, byte } of damages) {
            const place = at % (bytes.length + 1);
            bytes = Buffer.concat([
              bytes.subarray(0, place),
              kind === 'remove' ? Buffer.of() : Buffer.of(byte),
              bytes.subarray(kind === 'insert' ? place : place + 1),
            ]);
          }
          const result = scan(bytes);
          expect(scan(bytes, portions)).toEqual(result);
          const isValid = parses(bytes);
          if (isValid) accepted += 1;
          else refused += 1;
          if ('code' in result) expect(isValid && !stricter.has(result.code)).toBe(false);
          else if (result.form !== 'lines') expect(isValid).toBe(true);
        },
      ),
      { numRuns: 5_000, seed: 5 },
    );
    expect(Math.min(accepted, refused)).toBeGreaterThan(500);
  });
});

function parses(bytes: Uint8Array): boolean {
  try {
    JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return true;
  } catch {
    return false;
  }
}
