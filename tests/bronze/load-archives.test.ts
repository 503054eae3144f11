import { randomBytes } from 'node:crypto';
import { deflateRawSync, gzipSync } from 'node:zlib';
import {
  GOOD,
  good,
  type LoadFixture,
  loadBeside,
  namesBelow,
  openLoadFixture,
  outcome,
  peakBytes,
  play,
  zipOf,
} from './load-fixture.ts';

const MIB = 1024 ** 2;

let lake: LoadFixture;
beforeEach(async () => {
  lake = await openLoadFixture();
});
afterEach(() => lake.close());

/**
 * Loads it beside a good file, which must come through, and leaves nothing behind. @returns name to code (or
 * status), and the temporary bytes
 */
async function loadHostile(name: string, content: Buffer) {
  let lines: (string | undefined)[][] = [];
  const peak = await peakBytes(lake.effects.scratch, async () => {
    const result = await loadBeside(lake, { [name]: content });
    expect(result.exit).toBe('data');
    lines = result.files
      .filter(({ fileName }) => fileName.startsWith(`source/${name}`))
      .map(({ fileName, code, status }) => [fileName.slice('source/'.length), code ?? status]);
  });
  expect((await namesBelow(lake.effects.scratch)).filter((left) => left !== 'spill')).toEqual([]);
  expect((await lake.load()).exit).toBe('ok');
  return { lines, peak };
}

describe('archives are told by their content, and one input has one budget', () => {
  it('F73: zips that are called .json, ten in each, are not opened at any level', async () => {
    let level = await zipOf({ 'plays.json': Buffer.alloc(190 * 1024, ' ') });
    for (let depth = 0; depth < 3; depth += 1) {
      const inner = level;
      level = await zipOf(Object.fromEntries(Array.from({ length: 10 }, (_, k) => [`n${k}.json`, inner])));
    }
    const { lines, peak } = await loadHostile('fan.zip', level);
    expect(lines).toEqual(Array.from({ length: 10 }, (_, k) => [`fan.zip/n${k}.json`, 'zip_nested']));
    expect(peak).toBeLessThan(MIB);
  });

  it.each([
    ['zip', async (content: Buffer) => zipOf({ 'a.json': content }), 'deep.zip/a.json'],
    ['gzip', async (content: Buffer) => gzipSync(content, { level: 1 }), 'deep.zip'],
  ])('F73: 300 levels of %s end at the second', async (_kind, pack, refused) => {
    let content: Buffer = Buffer.from(good());
    for (let depth = 0; depth < 300; depth += 1) content = await pack(content);
    const { lines, peak } = await loadHostile('deep.zip', content);
    expect(lines).toEqual([[refused, 'zip_nested']]);
    expect(peak).toBeLessThan(MIB);
  });

  it('F73: gzip inside zip counts with what the zip has packed already', async () => {
    // 1,000:1, and again: each of the two is within its limit for what it holds of the other.
    const bomb = gzipSync(Buffer.alloc(40 * MIB));
    const zip = await zipOf({ 'plays.json': bomb, 'fine.json.gz': gzipSync(good({ platform: 'packed twice' })) });
    const { lines, peak } = await loadHostile('twice.zip', zip);
    expect(lines).toEqual([
      ['twice.zip/plays.json', 'gzip_bomb'],
      ['twice.zip/fine.json.gz', 'loaded'],
    ]);
    expect(peak).toBeLessThan(4 * MIB);
  });

  it('F17, F73: a gzip bomb is refused without writing what it holds, also behind harmless bytes', async () => {
    const bomb = Buffer.concat([gzipSync(randomBytes(MIB / 4), { level: 1 }), gzipSync(Buffer.alloc(100 * MIB))]);
    const { lines, peak } = await loadHostile('bomb.json.gz', bomb);
    expect(lines).toEqual([['bomb.json.gz', 'gzip_bomb']]);
    expect(peak).toBeLessThan(4 * MIB);
  });

  it('F17, F73: entries that lie over one another are a bomb together, though none is alone', async () => {
    const { lines, peak } = await loadHostile('overlap.zip', overlapping(400));
    expect(lines).toEqual([['overlap.zip', 'zip_bomb']]);
    expect(peak).toBeLessThan(MIB);
  });

  it('F73: temporary files of refused and known entries go at once', async () => {
    // Each is refused at its end, and each takes 2 MiB until then.
    const text = (k: number): string => `[{"ts":"${k}","ms_played":1,"x":"${'y'.repeat(2 * MIB)}"}`;
    const entries = Object.fromEntries(Array.from({ length: 12 }, (_, k) => [`cut${k}.json`, text(k)]));
    const zip = await zipOf({ ...entries, 'again.json': good() }, { compress: false });
    const { lines, peak } = await loadHostile('many.zip', zip);
    expect(lines.map(([, code]) => code)).toEqual([...Array<string>(12).fill('json_truncated'), 'known']);
    expect(peak).toBeLessThan(3 * 2 * MIB);
  });

  it('a gzip file in a zip loads, and so does an archive under another name', async () => {
    const zip = await zipOf({ [`MyData/${GOOD}.gz`]: gzipSync(good({ platform: 'packed' })) });
    await lake.load([await lake.give({ 'my_spotify_data.zip.download': zip, 'x.json': gzipSync(good()) })]);
    expect((await lake.index()).map(({ fileName }) => fileName).sort()).toEqual([
      `source/my_spotify_data.zip.download/MyData/${GOOD}.gz`,
      'source/x.json',
    ]);
  });

  it('an archive that is not read says what to do, and so does a web page in its place', async () => {
    const tar = Buffer.alloc(10_240);
    tar.write('MyData/endsong_0.json');
    tar.write('ustar', 257);
    const windows = await zipOf({ [`d#${GOOD}`]: good({ platform: 'windows' }) }, { compress: false });
    for (let at = windows.indexOf('d#S'); at >= 0; at = windows.indexOf('d#S', at + 1)) windows.write('d\\', at);
    const result = await loadBeside(lake, {
      'a.tar': tar,
      'b.tar.gz': gzipSync(tar),
      'c.7z': Buffer.from('377abcaf271c0004', 'hex'),
      'd.zip': windows,
      'e.zip': '<!DOCTYPE html><html><body>Log in</body></html>',
      'f.json.gz': gzipSync(await zipOf({ [GOOD]: good() })),
    });
    const told = (name: string) => {
      const { code, reason } = outcome(result, name);
      return [code, /\((.*)\)$/.exec(reason ?? '')?.[1]];
    };
    expect(told('a.tar')).toEqual(['archive_unknown', 'unpack it and give the folder']);
    expect(told('b.tar.gz')).toEqual(['archive_unknown', 'unpack it and give the folder']);
    expect(told('c.7z')).toEqual(['archive_unknown', 'unpack it and give the folder']);
    expect(told(`d\\${GOOD}`)).toEqual(['zip_name', 'unpack it and give the folder']);
    expect(told('e.zip')).toEqual(['html_page', 'log in and download it again']);
    expect(told('f.json.gz')).toEqual(['zip_nested', 'unpack the outer one and give the folder']);
  });

  it('what macOS leaves in an archive is litter, its icon with a carriage return in the name too', async () => {
    const zip = await zipOf({ [`d/${GOOD}`]: good(), 'd/Icon\r': '', '__MACOSX/d/._x.json': 'x', 'd/.DS_Store': 'x' });
    const result = await lake.load([await lake.give({ 'mac.zip': zip })]);
    expect(result.files.map(({ status }) => status)).toEqual(['loaded']);
  });
});

/**
 * A zip in which many names share the bytes of one entry (as D. Fifield's "better zip bomb", 2019).
 * APPNOTE.TXT 4.3.
 */
function overlapping(names: number): Buffer {
  const plain = Buffer.from(JSON.stringify([play({ platform: 'p'.repeat(400) })]).repeat(200));
  const packed = deflateRawSync(plain);
  const header = (signature: number, nameBytes: number, isCentral: boolean): Buffer => {
    const bytes = Buffer.alloc(isCentral ? 46 : 30);
    bytes.writeUInt32LE(signature, 0);
    const at = isCentral ? 6 : 4;
    bytes.writeUInt16LE(20, at);
    bytes.writeUInt16LE(8, at + 4);
    bytes.writeUInt32LE(packed.length, at + 14);
    bytes.writeUInt32LE(plain.length, at + 18);
    bytes.writeUInt16LE(nameBytes, at + 22);
    return bytes;
  };
  const nameOf = (k: number): Buffer => Buffer.from(`f${String(k).padStart(4, '0')}.json`);
  const local = Buffer.concat([header(0x04034b50, 10, false), nameOf(0), packed]);
  const central = Array.from({ length: names }, (_, k) => Buffer.concat([header(0x02014b50, 10, true), nameOf(k)]));
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(names, 8);
  end.writeUInt16LE(names, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(local.length, 16);
  return Buffer.concat([local, directory, end]);
}
