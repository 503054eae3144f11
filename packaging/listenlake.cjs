#!/usr/bin/env node
// Starts the installed package. In the oldest words of the language, so that an old Node can say what is wrong.
'use strict';

var major = Number(process.versions.node.split('.')[0]);
if (major < 24) {
  process.stderr.write(
    'listenlake: Node 24 or newer is needed, this is ' + process.version + ' (https://nodejs.org)\n',
  );
  process.exit(69);
}
// Hints name the program as it was typed.
if (process.env.LISTENLAKE_COMMAND === undefined && process.env.npm_command === 'exec') {
  process.env.LISTENLAKE_COMMAND = 'npx listenlake';
}
import('./jobs/bundle/cli.js').catch((error) => {
  process.stderr.write('listenlake: ' + error.message + ' (npm install again)\n');
  process.exit(69);
});
