// Writes the digest behind each image tag (`name:tag` becomes `name:tag@sha256:...`), and the present one where a digest is there already.
// The tag stays for people, the digest decides what is pulled. Run by the workflow `images`; by hand: node .github/pin-images.mjs <file> ...
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const IMAGE = /^(\s*image: (?:\$\{[A-Z_]+:-)?|(?:ARG BASE_IMAGE=|FROM ))([a-z0-9][\w./-]*:[\w.-]+)(?:@sha256:[0-9a-f]{64})?(?=\}?\s*(?:AS \w+)?\s*$)/gm;

export function pinned(text, digestOf) {
  return text.replaceAll(IMAGE, (line, before, image) =>
    // Built here, and in no registry.
    image.endsWith(':local') ? line : `${before}${image}@${digestOf(image)}`,
  );
}

function digestOf(image) {
  const args = ['buildx', 'imagetools', 'inspect', image, '--format', '{{.Manifest.Digest}}'];
  const digest = execFileSync('docker', args, { encoding: 'utf8' }).trim();
  if (!/^sha256:[0-9a-f]{64}$/.test(digest)) throw new Error(`no digest of ${image}: ${digest}`);
  return digest;
}

const isProgram = process.argv[1] === fileURLToPath(import.meta.url);
for (const file of isProgram ? process.argv.slice(2) : []) writeFileSync(file, pinned(readFileSync(file, 'utf8'), digestOf));
