import { createHash, createHmac } from 'node:crypto';
import { visible } from './visible.ts';

/**
 * Words of a field's name (`ip_addr_decrypted`, `userAgent`, `e-mail`, `metro_area`) that say that its value
 * is a person's.
 */
const PERSONAL_WORDS = new Set(
  [
    'ip ipv4 ipv6 ipaddr ipaddress mac macaddress hostname imei idfa msisdn deviceid agent useragent cookie cookies',
    'user users userid username person nickname nick firstname lastname surname fullname displayname realname contact',
    'email emails mail emailaddress phone phonenumber telephone tel mobile fax facebook',
    'birth birthdate birthday birthyear dob gender sex iban creditcard cardnumber passport ssn',
    'city town region province county metro location latitude longitude lat lon lng geo geolocation coordinates',
    'address addresses addr street postal postcode postalcode zip zipcode',
    'password passwords passwd passphrase pwd pin token tokens secret secrets credential credentials apikey authorization jwt',
    'login logon handle account accounts accountid owner profile avatar member friend friends spouse customer customerid subscriber',
    'uid guid udid ssid bssid serial gps isp forwarded advertising',
    // The same words in other languages, as `folded` spells them; not those that also mean the name of a song
    // or its artist.
    'vorname nachname benutzer benutzername nutzer nutzername kunde kundennummer kennwort passwort strasse hausnummer plz',
    'postleitzahl ort wohnort stadt standort anschrift telefon telefonnummer handynummer geburtsdatum geburtstag geschlecht',
    'utilisateur prenom adresse courriel motdepasse passe ville rue naissance sexe pseudo identifiant',
    'usuario apellido apellidos correo contrasena direccion calle ciudad telefono movil nacimiento sexo',
    'utilizador senha sobrenome apelido endereco rua cidade telefone celular nascimento cep',
    'utente cognome indirizzo citta cellulare nascita gebruiker gebruikersnaam voornaam achternaam wachtwoord straat woonplaats',
    'telefoonnummer geboortedatum adres anvandare anvandarnamn losenord fornamn efternamn brugernavn brukernavn passord',
    'uzytkownik haslo imie nazwisko ulica miasto kullanici sifre soyad salasana sukunimi etunimi osoite uzivatel heslo prijmeni',
  ].flatMap((line) => line.split(' ')),
);
/** The same, where words are written as one, or with other words around them. */
const PERSONAL_PARTS =
  /useragent|username|display_?name|first_?name|last_?name|full_?name|real_?name|metro_?area|ip_?addr|e_?mail|password|birth_?da|phone_?n|_token|token_|api_?key|family_?name|given_?name|middle_?name|maiden_?name|device_?id|device_?name|host_?name|customer_?(?:id|n)|account_?(?:id|n)|profile_?(?:id|n)|sp_dc|sp_key|kennwort|passwort|nombre_?completo|mot_?de_?passe/;

/** In a page or in JSON that was written into a text the sign is an entity or an escape. */
const AT = '(?:@|\uff20|%(?:25)*40|&#0{0,5}64;|&#x0{0,5}40;|&commat;|\\\\+u0040)';
const COLON = '(?::|%(?:25)*3a)';
const SLASH = '(?:\\\\?/|%(?:25)*2f)';
/** What ends a word in a text, an address in a link, a value in JSON. */
const ENDS = '\\s"\'<>(),;:|/\\\\=&?!#{}\\[\\]';
/**
 * A character of an id of a user in a link, which may be percent-encoded, but not one that is encoded and
 * ends the id.
 */
const ID = '(?:[^\\s"\'<>:/?#&\\\\%]|%(?:[014-9a-f][0-9a-f]|2[0-24790-9a-e]|3[0-9b-e]))';
/**
 * An octet of two digits and more; the first one of an address: not 0, and not 127, which is every machine
 * itself.
 */
const LONG_OCTET = '(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9])';
const OCTET = '(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]?[0-9])';
const FIRST_OCTET = '(?:25[0-5]|2[0-4][0-9]|1[013-9][0-9]|12[0-689]|0?[1-9][0-9])';
/** Four numbers of one digit are a title or a version more often than an address. */
const IPV4 = `(?:${FIRST_OCTET}(?:\\.${OCTET}){3}|[1-9]\\.${LONG_OCTET}(?:\\.${OCTET}){2}|[1-9]\\.[0-9]\\.${LONG_OCTET}\\.${OCTET}|[1-9]\\.[0-9]\\.[0-9]\\.${LONG_OCTET})`;
/**
 * Whole, shortened in the middle, at the end, at the beginning; six pairs are the address of a network card.
 */
const IPV6 =
  '(?:(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}|(?:[0-9a-f]{1,4}:){1,6}(?::[0-9a-f]{1,4}){1,6}|(?:[0-9a-f]{1,4}:){2,7}:|::[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){1,6}|(?:[0-9a-f]{2}:){5}[0-9a-f]{2})';

/**
 * The rule for values: what must not stay in any text, and what stands there instead. As regular expressions
 * without look-around and without regard to case, so that the engine's RE2 and JavaScript read them the same.
 */
const RULES: readonly { pattern: string; instead: string; times?: 2 }[] = [
  // Users in links and URIs of Spotify, plain and percent-encoded. Group 2 is the user's id.
  {
    pattern: `(spotify${COLON}user${COLON}|spotify${COLON}${SLASH}${SLASH}user${SLASH}|(?:open|play|api|www)\\.spotify\\.com(?:${SLASH}[a-z0-9-]{1,20}){0,2}${SLASH}users?${SLASH})(${ID}+)`,
    instead: '$1[user]',
  },
  {
    pattern: `((?:^|[\\s"'(=]|file:${SLASH}${SLASH}|[a-z]:|[\\\\]{2}[a-z0-9._-]{1,64})(?:${SLASH}(?:home|users)${SLASH}|[\\\\]+users[\\\\]+))(${ID}+)`,
    instead: '$1[user]',
  },
  // Secrets: parameters of links, members of JSON inside a text, headers, and by their own form.
  {
    pattern: `((?:token|secret|passwd|password|pwd|api[_-]?key|session_?id|sp_dc|sp_key|authorization|[?&](?:code|si|sig|signature|sid|session|key|auth))(?:=|%(?:25)*3d|\\\\?["']\\s{0,9}:\\s{0,9}\\\\?["']))([^\\s&"'<>#;\\\\]+)`,
    instead: '$1[secret]',
  },
  { pattern: '(authorization\\s{0,3}[:=]\\s{0,3}[a-z]{1,12} )([^\\s"\'<>]+)', instead: '$1[secret]' },
  { pattern: '(bearer )([a-z0-9._~+/=-]{16,})', instead: '$1[secret]' },
  { pattern: '(eyj)([a-z0-9_-]{10,}[.][a-z0-9_-]{10,}(?:[.][a-z0-9_-]+)?)', instead: '[secret]' },
  { pattern: '(^|[^a-z0-9_-])([ab]q[a-z0-9_-]{60,})', instead: '$1[secret]' },
  { pattern: '(a[ks]ia)([0-9a-z]{16})', instead: '[secret]' },
  { pattern: `(:${SLASH}${SLASH})([^\\s/@"'<>]{1,200}@)`, instead: '$1' },
  // Addresses. What stands around an IP address is part of the match, so that two in a row need two passes.
  {
    pattern: `((?:[^${ENDS}@\uff20%]|%(?:2[bde]|5f)){1,64})(${AT}[^${ENDS}@\uff20%_]+[.][^${ENDS}@\uff20%.0-9_-]{2,})`,
    instead: '[address]',
  },
  { pattern: `(^|[^0-9])(${IPV4})($|[^0-9])`, instead: '$1[address]$3', times: 2 },
  { pattern: `(^|[^0-9a-z:])(${IPV6})($|[^0-9a-z])`, instead: '$1[address]$3', times: 2 },
];

const ANY_RULE = RULES.map(({ pattern }) => `(?:${pattern})`).join('|');
/**
 * What an id of a person is replaced for: what the rule finds, and a little more, so that ids that were
 * replaced once always are.
 */
const PERSONAL_ID_PATTERN = `${ANY_RULE}|[^\\s@"<>]{1,64}@[^\\s@"<>]{1,190}\\.[a-z]|(?:^|[^0-9.])[0-9]{1,3}(?:\\.[0-9]{1,3}){3}(?:$|[^0-9.])|(?:[0-9a-f]{1,4}:){3,7}[0-9a-f]{1,4}|[0-9a-f]{0,4}::[0-9a-f]{1,4}`;

const anyRule = new RegExp(ANY_RULE, 'iu');
const personalId = new RegExp(PERSONAL_ID_PATTERN, 'iu');
const rules = RULES.map((rule) => ({ ...rule, expression: new RegExp(rule.pattern, 'giu') }));
const [userInLink] = rules;

/** Names are few and stand in every row. */
const knownKeys = new Map<string, boolean>();

/**
 * The rule for names: true for a field whose name says that its value is a person's (IP address, user name,
 * place, password, ...).
 */
export function isPersonalKey(key: string): boolean {
  let isPersonal = knownKeys.get(key);
  if (isPersonal === undefined) {
    isPersonal = isPersonalValue(key) || isInOtherScript(key) || saysPersonal(key);
    if (knownKeys.size < 10_000 && key.length <= 200) knownKeys.set(key, isPersonal);
  }
  return isPersonal;
}

/** Spotify names its fields in Latin letters, and what `имя` or `住所` say no list of words can hold. */
function isInOtherScript(key: string): boolean {
  return /(?!\p{Script=Latin})\p{L}/u.test(key);
}

function saysPersonal(key: string): boolean {
  const spaced = folded(key.slice(0, 200))
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1_$2')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_');
  return spaced.split('_').some((word) => PERSONAL_WORDS.has(word)) || PERSONAL_PARTS.test(spaced);
}

/** A name without accents, so that `contraseña` is `contrasena`. */
function folded(key: string): string {
  return key
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .replaceAll('ß', 'ss')
    .replaceAll('ł', 'l')
    .replaceAll('ø', 'o');
}

/**
 * True for a text that holds what the rule for values finds: an e-mail or IP address, a link to a user, a
 * secret.
 */
export function isPersonalValue(text: string): boolean {
  return anyRule.test(text);
}

/** True for an id of a person that is an address itself. */
export function isPersonalId(id: string): boolean {
  return personalId.test(id.slice(0, 4_096));
}

/**
 * The text without what the rule for values finds: `[address]`, `[user]`, `[secret]` stand there instead; all
 * else stays byte by byte.
 *
 * @param pseudonym replaces the ids of users in links and URIs, so that equal ones stay equal; without it
 *   they are `[user]`
 */
export function withoutPersonal(text: string, pseudonym?: (id: string) => string): string {
  if (!anyRule.test(text)) return text;
  let kept = text;
  for (const rule of rules) {
    for (let pass = 0; pass < (rule.times ?? 1); pass += 1) {
      kept =
        rule === userInLink && pseudonym !== undefined
          ? kept.replace(rule.expression, (_, prefix: string, id: string) => `${prefix}${pseudonym(decoded(id))}`)
          : kept.replace(rule.expression, rule.instead);
    }
  }
  return kept;
}

/** Endings that say what a file is; an address before one does not swallow it. */
const FILE_ENDING = /(?:\.(?:json|jsonl|ndjson|csv|tsv|txt|zip|gz|tgz|tar|parquet|html?|pdf|xlsx?))+$/i;

/** Folders whose folders are called after people. */
const HOMES = /^(?:home|users|documents and settings)$/i;

/**
 * The name of a file or folder, or its path inside an archive, for people: without what the rule for values
 * finds in one of its parts, and without what a terminal would obey; an ending stays. A folder in `home` or
 * `Users` is `[user]`. Both slashes divide, because a zip of Windows that is unpacked elsewhere leaves files
 * called `Users\somebody\x.json`.
 *
 * @param parent name of the folder that it lies in, where that is known
 */
export function fileNameWithoutPersonal(path: string, parent = ''): string {
  const parts = [parent, '/', ...path.split(/([/\\])/)];
  return parts
    .map((part, index) => (index % 2 === 1 ? part : partWithoutPersonal(part, parts[index - 2] ?? '')))
    .slice(2)
    .join('');
}

function partWithoutPersonal(given: string, parent: string): string {
  const name = visible(given);
  const ending = FILE_ENDING.exec(name)?.[0] ?? '';
  if (ending === '' && HOMES.test(parent)) return '[user]';
  return `${withoutPersonal(name.slice(0, name.length - ending.length))}${ending}`;
}

function decoded(id: string): string {
  try {
    return decodeURIComponent(id);
  } catch {
    return id; // a stray % is part of the id
  }
}

/**
 * What every text has that the rule finds something in, and few others have: without counters, so that the
 * engine reads it in one pass. Measured on an export of 157 MB: `load` takes 1.25 times the processor time
 * that it takes without a rule.
 */
const HINT =
  '@|\\x{ff20}|%(?:25)*40|&#|&commat|u0040|user|home|token|secret|passw|pwd|api[_-]?key|session_?id|sp_dc|sp_key|authorization|bearer |eyj|[?&][a-z]+(?:=|%)|://|%2f%2f|[ab]q[a-z0-9_-]{60}|a[ks]ia[0-9a-z]{16}|[0-9][.][0-9]+[.][0-9]+[.][0-9]|::|[0-9a-f]:[0-9a-f]+:[0-9a-f]+:[0-9a-f]+:[0-9a-f]';

/**
 * True where one of the text columns holds what the rule for values finds: one pass over all of them, as an
 * SQL condition. A line break stands between them, because it is a blank for every rule: what may begin a
 * text may also begin a column.
 */
export function isPersonalSql(columns: readonly string[]): string {
  const all = `concat_ws(chr(10), ${columns.join(', ')})`;
  return `case when regexp_matches(${all}, ${quoted(`(?i)${HINT}`)}) then regexp_matches(${all}, ${quoted(`(?i)${ANY_RULE}`)}) else false end`;
}

/** `withoutPersonal` (without pseudonyms) as an SQL expression of the embedded engine. */
export function withoutPersonalSql(column: string): string {
  return RULES.flatMap((rule) => Array<typeof rule>(rule.times ?? 1).fill(rule)).reduce(
    (sql, { pattern, instead }) =>
      `regexp_replace(${sql}, ${quoted(pattern)}, ${quoted(instead.replaceAll('$', '\\'))}, 'gi')`,
    column,
  );
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/**
 * Pseudonyms of a text column as SQL expressions of the embedded engine, equal to what `createPseudonyms`
 * gives.
 */
export interface PseudonymSql {
  /** An id of a person: its pseudonym where it looks like an address, otherwise the value. */
  id(column: string): string;
  /**
   * A user name: always its pseudonym, without regard to case and blanks around it; null for none. The
   * pseudonym of the name in the variable `usual` is read from the variable `usual_pseudonym` (see
   * `usualName`): two hashes for each row took a third of what `load` costs (300,000 rows, processor time),
   * and nearly every row of a file has the same name.
   */
  userName(column: string): string;
  /** Statements that set both variables for a name, or for none. They hold on one connection. */
  usualName(name: string | undefined): string[];
}

/** HMAC is spelt out, because the engine only has the hash (RFC 2104). */
export function createPseudonymSql(key: string): PseudonymSql {
  const secret = Buffer.from(key);
  const block = Buffer.alloc(64);
  (secret.length > block.length ? createHash('sha256').update(secret).digest() : secret).copy(block);
  const pad = (byte: number): string => `unhex('${Buffer.from(block.map((each) => each ^ byte)).toString('hex')}')`;
  const pseudonymOf = (text: string): string => {
    const inner = `unhex(sha256(${pad(0x36)} || encode(${text})))`;
    return `'u_' || substr(sha256(${pad(0x5c)} || ${inner}), 1, 16)`;
  };
  return {
    id: (column) =>
      `case when regexp_matches(${column}, ${quoted(`(?i)${PERSONAL_ID_PATTERN}`)}) then ${pseudonymOf(column)} else ${column} end`,
    userName: (column) =>
      `case when ${column} = getvariable('usual') then getvariable('usual_pseudonym')
            when trim(${column}) <> '' then ${pseudonymOf(`lower(trim(${column}))`)} end`,
    usualName: (name) => [
      `set variable usual = ${name === undefined ? 'cast(null as varchar)' : quoted(name)}`,
      `set variable usual_pseudonym = (select ${pseudonymOf(`lower(trim(cast(getvariable('usual') as varchar)))`)})`,
    ],
  };
}

/**
 * Replaces ids of people. The same id and key give the same `u_<16 hex>` (HMAC-SHA256): equal stays equal,
 * and without the key nobody gets back.
 */
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
