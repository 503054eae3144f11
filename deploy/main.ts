/**
 * Called by the Makefile: `deploy/main.ts lake|images|run|open|smoke [terraform/ [listenlake]]`, with ENV for one lake among several.
 */
import { openAirflow, runDaily } from './airflow.ts';
import { pushImages } from './images.ts';
import { applyLake } from './lake.ts';
import { smokeTest } from './smoke.ts';
import { DeployError, openEnvironment, say } from './tools.ts';

try {
  const environment = openEnvironment(process.env.ENV ?? '', process.argv[3]);
  const options = process.env.CI === 'true' ? ['-auto-approve', '-input=false'] : [];
  const commands: Record<string, () => void | Promise<void>> = {
    lake: () => applyLake(environment, options),
    images: () => pushImages(environment),
    run: () => runDaily(environment, Boolean(process.env.GENERATE)),
    open: () => openAirflow(environment),
    smoke: async () => say(await smokeTest(environment.folder, { apply: options, listenlake: process.argv[4] })),
  };
  const command = commands[process.argv[2] ?? ''];
  if (command === undefined) throw new DeployError(`one of ${Object.keys(commands).join(', ')}`);
  await command();
} catch (error) {
  if (!(error instanceof DeployError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
