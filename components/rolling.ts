/** A recorder that exists at the cloud now. */
export interface LivingRecorder {
  name: string;
  serverType: string;
}

/**
 * Order in which a changed server type goes through the pool. The engine would replace every recorder at once;
 * here each waits for others to be back, so that never more than `maxUnavailable` are away at a time.
 *
 * New recorders wait for nobody: creating twenty takes as long as creating one.
 *
 * @param names the pool's recorders, in order
 * @param living the recorders that the cloud has, from any time
 * @param serverType the type wanted
 * @param maxUnavailable recorders that may be away at a time, 1 or more
 * @returns for each recorder that is to be replaced, the names of those that must be ready before
 */
export function rollingOrder(
  names: readonly string[],
  living: readonly LivingRecorder[],
  serverType: string,
  maxUnavailable: number,
): Map<string, string[]> {
  const typeOf = new Map(living.map((recorder) => [recorder.name, recorder.serverType]));
  const stale = names.filter((name) => typeOf.has(name) && typeOf.get(name) !== serverType);
  // Those that an interrupted roll has already replaced may still be away: they come back first.
  const replaced = names.filter((name) => typeOf.get(name) === serverType);
  return new Map(
    stale.map((name, position) => {
      const predecessor = stale[position - maxUnavailable];
      return [name, predecessor === undefined ? replaced : [predecessor]];
    }),
  );
}
