import fc from 'fast-check';
import { atMost } from '../../jobs/base/concurrency.ts';

/** A run of `atMost` whose actions end when the test says so. */
function controlled(count: number, size: number, needs: (item: number) => readonly number[] = () => []) {
  const begun: number[] = [];
  const open = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  const outcome = atMost(
    count,
    Array.from({ length: size }, (_, item) => item),
    (item) => {
      begun.push(item);
      return new Promise<string>((resolve, reject) => {
        open.set(item, { resolve: () => resolve(`done ${item}`), reject });
      });
    },
    needs,
  ).then(
    (results) => ({ results, error: undefined }),
    (error: Error) => ({ results: undefined, error }),
  );
  /** Ends one and lets everything that follows from it happen. */
  const end = async (item: number, error?: Error): Promise<void> => {
    if (error === undefined) open.get(item)!.resolve();
    else open.get(item)!.reject(error);
    open.delete(item);
    await settled();
  };
  return { begun, open, outcome, end };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('atMost', () => {
  it('has as many at work as it may, and takes the next when one ends', async () => {
    const { begun, end, outcome } = controlled(2, 4);
    await settled();
    expect(begun).toEqual([0, 1]);
    await end(1);
    expect(begun).toEqual([0, 1, 2]);
    await end(0);
    await end(2);
    await end(3);
    expect((await outcome).results).toEqual(['done 0', 'done 1', 'done 2', 'done 3']);
  });

  it('begins what is needed first, and what could begin before what waits', async () => {
    const needs = (item: number): number[] => (item === 1 ? [0] : item === 3 ? [1, 2] : []);
    const { begun, end, outcome } = controlled(8, 4, needs);
    await settled();
    expect(begun).toEqual([0, 2]);
    await end(2);
    expect(begun).toEqual([0, 2]);
    await end(0);
    expect(begun).toEqual([0, 2, 1]);
    await end(1);
    expect(begun).toEqual([0, 2, 1, 3]);
    await end(3);
    expect((await outcome).error).toBeUndefined();
  });

  it('after a failure begins nothing, waits for what is at work, and throws the one of the earliest item', async () => {
    const { begun, open, end, outcome } = controlled(3, 9);
    let isOver = false;
    void outcome.then(() => {
      isOver = true;
    });
    await settled();
    await end(2, new Error('late'));
    await end(0, new Error('early'));
    expect([begun, [...open.keys()], isOver]).toEqual([[0, 1, 2], [1], false]);
    await end(1);
    expect([begun, isOver, (await outcome).error?.message]).toEqual([[0, 1, 2], true, 'early']);
  });

  it('takes an action that throws at once as one that fails', async () => {
    const fail = (): Promise<void> => {
      throw new Error('at once');
    };
    await expect(atMost(2, [1, 2, 3], fail)).rejects.toThrow('at once');
  });

  it('says of a circle that it is one, and of nothing to do nothing', async () => {
    await expect(
      atMost(
        2,
        [1, 2],
        async () => {},
        (item) => [3 - item],
      ),
    ).rejects.toThrow(/wait for/);
    expect(await atMost(2, [], async () => {})).toEqual([]);
  });

  it('keeps to the bound and to what is needed, whatever ends and fails first', async () => {
    const plans = fc.record({
      count: fc.integer({ min: 1, max: 5 }),
      /** For each item which of the ones before it are needed. */
      needs: fc.array(fc.array(fc.nat(), { maxLength: 3 }), { minLength: 1, maxLength: 12 }),
      /** Which of those at work ends next. */
      picks: fc.infiniteStream(fc.nat()),
      failing: fc.option(fc.nat(11), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(plans, async ({ count, needs, picks, failing }) => {
        const needed = needs.map((some, item) => (item === 0 ? [] : some.map((pick) => pick % item)));
        const { begun, open, end, outcome } = controlled(count, needs.length, (item) => needed[item]!);
        const done = new Set<number>();
        let isFailed = false;
        await settled();
        while (open.size > 0) {
          expect(open.size).toBeLessThanOrEqual(count);
          for (const item of open.keys()) expect(needed[item]!.every((need) => done.has(need))).toBe(true);
          const free = needs.some((_, item) => !begun.includes(item) && needed[item]!.every((need) => done.has(need)));
          if (free && !isFailed) expect(open.size).toBe(count);
          const item = [...open.keys()][picks.next().value % open.size]!;
          const before = begun.length;
          isFailed ||= item === failing;
          if (item !== failing) done.add(item);
          await end(item, item === failing ? new Error(`no ${item}`) : undefined);
          if (isFailed) expect(begun).toHaveLength(before);
          if (count === 1) expect(begun).toEqual([...begun].sort((a, b) => a - b));
        }
        const { results, error } = await outcome;
        expect(error?.message).toBe(isFailed ? `no ${failing}` : undefined);
        if (!isFailed) expect(results).toEqual(needs.map((_, item) => `done ${item}`));
      }),
    );
  });
});
