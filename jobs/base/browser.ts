import { spawn } from 'node:child_process';

/**
 * Opens a file of this machine in the person's browser. Best effort: where there is none (a server, a
 * container) nothing happens, and what was printed names the file.
 */
export function openInBrowser(path: string): void {
  const [program, ...args] =
    process.platform === 'darwin'
      ? ['open', path]
      : process.platform === 'win32'
        ? ['cmd', '/c', 'start', '', path]
        : ['xdg-open', path];
  const child = spawn(program!, args, { stdio: 'ignore', detached: true });
  child.on('error', () => {});
  child.unref();
}
