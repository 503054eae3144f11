/** How tables of Glue are replaced: only what nobody else has changed meanwhile. */
import { CreateDatabaseCommand, GetTableCommand, GlueClient, UpdateTableCommand } from '@aws-sdk/client-glue';
import { goldTable, openCatalog } from '../../jobs/engine/athena/catalog.ts';
import { governedFinding, isGoverned } from '../../jobs/engine/athena/lake-formation.ts';
import { jsonError } from './endpoint.ts';
import { environmentOf, REGION, startLocalAwsOrSkip } from './local.ts';

const local = await startLocalAwsOrSkip('Glue', { isTrinoNeeded: false });
const DATABASE = 'lock_gold_dev';
const at = (place: string) => goldTable('plays', [{ name: 'n', type: 'bigint' }], `s3://lake/gold/dev/${place}/plays/`);

if (local === undefined) {
  it('Glue is left out here, which is no answer under CI', () => expect(process.env.CI).not.toBe('true'));
} else {
  const { endpoint } = local;
  Object.assign(process.env, environmentOf(endpoint.url));
  const options = { endpoint: endpoint.url, region: REGION };
  const catalog = openCatalog(options);
  const glue = new GlueClient(options);
  const placeNow = async (): Promise<string | undefined> =>
    (await catalog.find(DATABASE, 'plays'))?.StorageDescriptor?.Location;

  beforeAll(async () => {
    await glue.send(new CreateDatabaseCommand({ DatabaseInput: { Name: DATABASE } }));
  });
  beforeEach(() => catalog.put(DATABASE, at('first')));
  afterAll(async () => {
    catalog.close();
    glue.destroy();
    await local.close();
  });

  it('a table that was listed is replaced by the version that Glue gives of it itself', async () => {
    const listed = (await catalog.all(DATABASE)).get('plays')!;
    endpoint.calls.length = 0;
    expect(await catalog.replace(DATABASE, listed, at('second'))).toBe(true);
    expect(await placeNow()).toContain('/second/');
    const update = endpoint.calls.find(({ operation }) => operation === 'UpdateTable')!;
    expect(JSON.parse(update.body.toString())).toMatchObject({ VersionId: expect.stringMatching(/./) });
  });

  it('a table that somebody else has changed since it was listed is left as it is', async () => {
    const listed = (await catalog.all(DATABASE)).get('plays')!;
    const changed = { ...at('first'), Parameters: { ...at('first').Parameters, note: 'of somebody else' } };
    await glue.send(new UpdateTableCommand({ DatabaseName: DATABASE, TableInput: changed }));
    expect(await catalog.replace(DATABASE, listed, at('second'))).toBe(false);
    expect(await placeNow()).toContain('/first/');
  });

  it('without a version nothing is replaced, and that is said', async () => {
    const listed = (await catalog.all(DATABASE)).get('plays')!;
    const { Table: table } = await glue.send(new GetTableCommand({ DatabaseName: DATABASE, Name: 'plays' }));
    const { VersionId: _, CreateTime, UpdateTime, ...rest } = table!;
    const body = JSON.stringify({
      Table: {
        ...rest,
        CreateTime: CreateTime!.getTime() / 1000,
        UpdateTime: UpdateTime && UpdateTime.getTime() / 1000,
      },
    });
    endpoint.rules.push({ operation: 'GetTable', fault: { kind: 'answer', status: 200, body } });
    const unlocked = { code: 'catalog_unlocked', exit: 'config' };
    await expect(catalog.replace(DATABASE, listed, at('second'))).rejects.toMatchObject(unlocked);
    expect(await placeNow()).toContain('/first/');
  });

  it('doctor knows where Lake Formation decides beside IAM, and says so where tables seem to be missing', async () => {
    const everybody = {
      Principal: { DataLakePrincipalIdentifier: 'IAM_ALLOWED_PRINCIPALS' },
      Permissions: ['ALL' as const],
    };
    for (const [Name, CreateTableDefaultPermissions] of [
      ['governed', []],
      ['left_to_iam', [everybody]],
    ] as const)
      await glue.send(
        new CreateDatabaseCommand({
          DatabaseInput: { Name, CreateTableDefaultPermissions: [...CreateTableDefaultPermissions] },
        }),
      );
    expect(await isGoverned(options, 'governed')).toBe(true);
    expect(await isGoverned(options, 'left_to_iam')).toBe(false);
    endpoint.rules.push({ operation: 'GetDatabase', fault: jsonError('AccessDeniedException', 400) });
    expect(await isGoverned(options, 'governed')).toBe(false);
    expect(governedFinding('silver', 'lake_silver', false)).toMatchObject({
      verdict: 'warn',
      text: expect.stringContaining('lake_formation = true'),
    });
    expect(governedFinding('silver', 'lake_silver', true)).toMatchObject({ verdict: 'ok' });
  });
}
