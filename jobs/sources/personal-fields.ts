import { createHash, createHmac } from 'node:crypto';

/** Words of a key (`ip_addr_decrypted`, `userAgent`, `e-mail`) that mark what it holds as personal. */
const PERSONAL_WORDS = new Set([
  ...[
    'ip',
    'ipv4',
    'ipv6',
    'ipaddr',
    'ipaddress',
    'user',
    'username',
    'users',
    'agent',
    'useragent',
    'email',
    'mail',
    'phone',
  ],
  ...[
    'mobile',
    'birthdate',
    'birthday',
    'birth',
    'gender',
    'postal',
    'zip',
    'street',
    'address',
    'addr',
    'password',
    'token',
  ],
]);

/**
 * What an address looks like, as a regular expression without look-around, so that both engines' RE2 and JavaScript read it the same:
 * an e-mail address, an IPv4 address, an IPv6 address (four groups and more, or with `::`).
 */
export const PERSONAL_VALUE_PATTERN =
  '[^\\s@"<>]{1,64}@[^\\s@"<>]{1,190}\\.[A-Za-z]|(^|[^0-9.])[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}($|[^0-9.])|([0-9A-Fa-f]{1,4}:){3,7}[0-9A-Fa-f]{1,4}|[0-9A-Fa-f]{0,4}::[0-9A-Fa-f]{1,4}';

const personalValue = new RegExp(PERSONAL_VALUE_PATTERN);
/** Longer texts are cut before the test: an address at the end of a novel is not what this looks for, and time stays bounded. */
const PERSONAL_VALUE_MAX_CHARS = 4_096;

/** True for a key name that says its value is a person's (IP address, user name, user agent, e-mail, ...). */
export function isPersonalKey(key: string): boolean {
  const words = key
    .slice(0, 200)
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .split(/[^a-z0-9]+/);
  return (
    words.some((word) => PERSONAL_WORDS.has(word)) ||
    words.join('').includes('useragent') ||
    words.join('').includes('displayname')
  );
}

/** True for a text that looks like an e-mail or IP address, or holds one. */
export function isPersonalValue(text: string): boolean {
  return personalValue.test(text.slice(0, PERSONAL_VALUE_MAX_CHARS));
}

/**
 * The pseudonym of a text column as an SQL expression of the embedded engine: what `createPseudonyms` gives, where the value looks like an address,
 * otherwise the value. HMAC is spelt out, because the engine only has the hash (RFC 2104).
 */
export function createPseudonymSql(key: string): (column: string) => string {
  const secret = Buffer.from(key);
  const block = Buffer.alloc(64);
  (secret.length > block.length ? createHash('sha256').update(secret).digest() : secret).copy(block);
  const pad = (byte: number): string => `unhex('${Buffer.from(block.map((each) => each ^ byte)).toString('hex')}')`;
  return (column) => {
    const inner = `unhex(sha256(${pad(0x36)} || encode(${column})))`;
    return `case when regexp_matches(${column}, '${PERSONAL_VALUE_PATTERN.replaceAll("'", "''")}') then 'u_' || substr(sha256(${pad(0x5c)} || ${inner}), 1, 16) else ${column} end`;
  };
}

/** Replaces ids of people. The same id and key give the same `u_<16 hex>` (HMAC-SHA256): equal stays equal, and without the key nobody gets back. */
export function createPseudonyms(key: string): (id: string) => string {
  const known = new Map<string, string>();
  return (id) => {
    let pseudonym = known.get(id);
    if (pseudonym === undefined) {
      pseudonym = `u_${createHmac('sha256', key).update(id).digest('hex').slice(0, 16)}`;
      if (known.size < 100_000) known.set(id, pseudonym);
    }
    return pseudonym;
  };
}
