import { z } from 'zod';

/** `true` or `false`. */
export const flag = z.enum(['true', 'false']).transform((text) => text === 'true');
/** A whole number; both bounds are inclusive. */
export const whole = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, 'a whole number is needed')
    .transform(Number)
    .pipe(z.number().min(min, `at least ${min}`).max(max, `at most ${max}`));
