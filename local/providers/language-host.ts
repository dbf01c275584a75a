/**
 * The language host `pulumi-language-nodejs`: starts the program for a CLI that was built from its Go module.
 *
 * The official CLI brings its own. The runner of the program is part of `@pulumi/pulumi`, so all that is left is to
 * start it with the engine's addresses, and to say which packages the program uses.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import {
  Empty,
  LanguageRuntimeService,
  PackageDependency,
  PluginInfo,
  StatusError,
  grpc,
  languageMessages as messages,
  servePlugin,
  unary,
} from './protocol';
import { pluginVersion } from './plugin-version';

/** The runner has told the error itself; the engine then adds nothing. */
const toldAlready = 32;

interface Manifest {
  version: string;
  main?: string;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  pulumi?: { resource?: boolean; name?: string };
}

const readManifest = (file: string): Manifest => JSON.parse(readFileSync(file, 'utf8')) as Manifest;

/** The folder of the nearest `package.json` at or above `folder`. */
function packageFolder(folder: string): string {
  for (let at = folder; ; at = path.dirname(at)) {
    if (existsSync(path.join(at, 'package.json'))) return at;
    if (at === path.dirname(at)) return folder;
  }
}

/** The packages that the program depends on and that bring a provider plugin. */
function requiredPackages(folder: string): PackageDependency[] {
  const root = packageFolder(folder);
  const file = path.join(root, 'package.json');
  if (!existsSync(file)) return [];
  const { dependencies, devDependencies } = readManifest(file);
  const resolve = createRequire(file).resolve;
  return Object.keys({ ...dependencies, ...devDependencies }).flatMap((name) => {
    let manifest: Manifest;
    try {
      manifest = readManifest(resolve(`${name}/package.json`));
    } catch {
      return []; // not installed, or its manifest is not for others to see: then it brings no plugin
    }
    if (!manifest.pulumi?.resource) return [];
    const dependency = new PackageDependency();
    dependency.setName(manifest.pulumi.name ?? name.replace(/^@pulumi\//, ''));
    dependency.setVersion(manifest.version);
    dependency.setKind('resource');
    return [dependency];
  });
}

const running = new Set<ChildProcess>();

function stopPrograms(): void {
  for (const child of running) child.kill('SIGKILL');
}

function run(request: messages.RunRequest, engineAddress: string): Promise<messages.RunResponse> {
  const info = request.getInfo();
  const folder = info?.getProgramDirectory() || request.getPwd();
  const options = (info?.getOptions()?.toJavaScript() ?? {}) as { typescript?: boolean; nodeargs?: string };
  const runner = createRequire(path.join(folder, 'package.json')).resolve('@pulumi/pulumi/cmd/run');
  const entryPoint = info?.getEntryPoint() || request.getProgram() || '.';
  const child = spawn(
    process.execPath,
    [
      ...(options.nodeargs?.split(/\s+/).filter(Boolean) ?? []),
      runner,
      ...['--monitor', request.getMonitorAddress(), '--engine', engineAddress],
      ...['--project', request.getProject(), '--stack', request.getStack()],
      ...['--organization', request.getOrganization(), '--pwd', request.getPwd()],
      ...['--root-directory', info?.getRootDirectory() ?? request.getPwd()],
      ...['--parallel', String(request.getParallel())],
      ...(request.getDryrun() ? ['--dry-run'] : []),
      ...(request.getQuerymode() ? ['--query-mode'] : []),
      entryPoint,
      ...request.getArgsList(),
    ],
    {
      cwd: request.getPwd(),
      // What the program prints belongs on the user's screen: the engine shows this host's own output.
      stdio: ['ignore', 'inherit', 'inherit'],
      env: {
        ...process.env,
        PULUMI_CONFIG: JSON.stringify(Object.fromEntries(request.getConfigMap().toObject(false))),
        PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(request.getConfigsecretkeysList()),
        PULUMI_NODEJS_TYPESCRIPT: String(options.typescript ?? true),
      },
    },
  );
  running.add(child);
  return new Promise((resolve) => {
    const end = (problem: string): void => {
      running.delete(child);
      const response = new messages.RunResponse();
      response.setError(problem);
      resolve(response);
    };
    child.on('error', (error) => end(`Program could not be started: ${error.message}`));
    child.on('close', (code, signal) => {
      if (code === toldAlready) {
        running.delete(child);
        const response = new messages.RunResponse();
        response.setBail(true);
        resolve(response);
      } else if (code === 0) {
        end('');
      } else {
        end(signal ? `Program was ended by ${signal}` : `Program exited with non-zero exit code: ${code}`);
      }
    });
  });
}

function about(): messages.AboutResponse {
  const response = new messages.AboutResponse();
  response.setExecutable(process.execPath);
  response.setVersion(process.version);
  return response;
}

function programDependencies(
  request: messages.GetProgramDependenciesRequest,
): messages.GetProgramDependenciesResponse {
  const folder = packageFolder(request.getInfo()?.getProgramDirectory() || request.getPwd());
  const file = path.join(folder, 'package.json');
  const response = new messages.GetProgramDependenciesResponse();
  if (!existsSync(file)) return response;
  const { dependencies, devDependencies } = readManifest(file);
  response.setDependenciesList(
    Object.entries({ ...dependencies, ...devDependencies }).map(([name, version]) => {
      const dependency = new messages.DependencyInfo();
      dependency.setName(name);
      dependency.setVersion(version);
      return dependency;
    }),
  );
  return response;
}

/** Serves the language host until the engine goes. */
async function main(): Promise<void> {
  const engineAddress = process.argv.at(-1) ?? '';
  const unimplemented = (method: string) =>
    unary(() => {
      throw new StatusError(grpc.status.UNIMPLEMENTED, `${method} is not part of this language host`);
    });
  const unwritten = unary(() => {
    throw new StatusError(
      grpc.status.UNIMPLEMENTED,
      'writing the code of imported resources needs the official CLI: import with --generate-code=false',
    );
  });
  const handlers: grpc.UntypedServiceImplementation = {
    handshake: unary(() => new messages.LanguageHandshakeResponse()),
    getPluginInfo: unary(() => {
      const info = new PluginInfo();
      info.setVersion(pluginVersion('pulumi'));
      return info;
    }),
    getRequiredPackages: unary((request: messages.GetRequiredPackagesRequest) => {
      const response = new messages.GetRequiredPackagesResponse();
      response.setPackagesList(requiredPackages(request.getInfo()?.getProgramDirectory() ?? process.cwd()));
      return response;
    }),
    run: unary((request: messages.RunRequest) => run(request, engineAddress)),
    about: unary(about),
    generateProgram: unwritten,
    getProgramDependencies: unary(programDependencies),
    runtimeOptionsPrompts: unary(() => new messages.RuntimeOptionsResponse()),
    installDependencies: (call: grpc.ServerWritableStream<unknown, messages.InstallDependenciesResponse>) => {
      const line = new messages.InstallDependenciesResponse();
      line.setStderr(Buffer.from('Dependencies are installed by npm: run npm ci\n'));
      call.write(line);
      call.end();
    },
    cancel: unary(() => {
      stopPrograms();
      return new Empty();
    }),
  };
  const methods = Object.keys(LanguageRuntimeService);
  const service = LanguageRuntimeService as unknown as grpc.ServiceDefinition;
  await servePlugin(
    service,
    { ...Object.fromEntries(methods.map((method) => [method, unimplemented(method)])), ...handlers },
    stopPrograms,
  );
}

void main();
