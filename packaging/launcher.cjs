#!/usr/bin/env node
// Starts the packed listenlake, on every system that npm knows. An older Node must be able to read this file.
'use strict';

const NODE_MIN = 24;
const EX_UNAVAILABLE = 69;

if (Number(process.versions.node.split('.')[0]) < NODE_MIN) {
  process.stderr.write(
    `listenlake: Node ${NODE_MIN} or newer is needed, and this is ${process.versions.node} (https://nodejs.org)\n`,
  );
  process.exitCode = EX_UNAVAILABLE;
} else {
  // Hints name the program as it was typed.
  if (process.env.LISTENLAKE_COMMAND === undefined && process.env.npm_command === 'exec') {
    process.env.LISTENLAKE_COMMAND = 'npx listenlake';
  }
  void import('./bundle/cli.js');
}
