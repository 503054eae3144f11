import type { Options } from 'yargs';
import type { Command } from './command.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/**
 * A script that makes a shell complete commands, flags and the values that a flag can have; elsewhere it
 * completes files, as without it. It asks nothing of this program while somebody types.
 *
 *     source <(listenlake --completion bash)          in ~/.bashrc; zsh the same in ~/.zshrc
 *     listenlake --completion fish > ~/.config/fish/completions/listenlake.fish
 *
 * @param flagsOf every flag of a command
 */
export function completionScript(
  shell: Shell,
  commands: readonly Command[],
  flagsOf: (command: Command) => Record<string, Options>,
): string {
  return shell === 'fish' ? fishScript(commands, flagsOf) : bashScript(shell, commands, flagsOf);
}

/** zsh runs the same script: `bashcompinit` gives it bash's way of completing. */
function bashScript(
  shell: Shell,
  commands: readonly Command[],
  flagsOf: (command: Command) => Record<string, Options>,
): string {
  const cases = commands.map((command) => {
    const flags = Object.keys(flagsOf(command)).map((name) => `--${name}`);
    return `    ${nameOf(command)}) words='${flags.join(' ')}' ;;`;
  });
  const values = choices(commands, flagsOf).map(([name, words]) => `    --${name}) words='${words.join(' ')}' ;;`);
  return [
    ...(shell === 'zsh' ? ['autoload -Uz compinit bashcompinit && compinit && bashcompinit'] : []),
    '_listenlake() {',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's own
    '  local words= word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}',
    '  case $before in',
    ...values,
    '  esac',
    `  if [ -z "$words" ] && [ "$COMP_CWORD" -eq 1 ]; then words='${commands.map(nameOf).join(' ')}'; fi`,
    '  if [ -z "$words" ]; then case $word in -*) case $command in',
    ...cases,
    '  esac ;; esac; fi',
    '  COMPREPLY=()',
    '  if [ -n "$words" ]; then COMPREPLY=($(compgen -W "$words" -- "$word")); fi',
    '}',
    'complete -o default -F _listenlake listenlake ./listenlake',
  ].join('\n');
}

function fishScript(commands: readonly Command[], flagsOf: (command: Command) => Record<string, Options>): string {
  const names = commands.map(nameOf);
  return [
    ...commands.map(
      (command) =>
        `complete -c listenlake -n "not __fish_seen_subcommand_from ${names.join(' ')}" -a ${nameOf(command)} -d ${quote(command.summary)}`,
    ),
    ...commands.flatMap((command) =>
      Object.entries(flagsOf(command)).map(([name, { describe, choices: words }]) => {
        const values = words === undefined ? '' : ` -x -a ${quote(words.join(' '))}`;
        return `complete -c listenlake -n "__fish_seen_subcommand_from ${nameOf(command)}" -l ${name} -d ${quote(describe || '')}${values}`;
      }),
    ),
  ].join('\n');
}

function nameOf({ usage }: Command): string {
  return usage.split(' ', 1)[0]!;
}

/** Flags whose values are few; each has the same ones wherever it stands. */
function choices(
  commands: readonly Command[],
  flagsOf: (command: Command) => Record<string, Options>,
): [name: string, words: string[]][] {
  const found = new Map<string, string[]>();
  for (const [name, { choices: words }] of commands.map(flagsOf).flatMap(Object.entries))
    if (words !== undefined) found.set(name, words.map(String));
  return [...found];
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
