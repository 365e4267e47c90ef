/** Where a launcher put this process among those that work together. */
export interface Launch {
  readonly rank: number;
  readonly size: number;
  /** Place among the processes of this machine, which says which of its GPUs is this process's. Where a launcher does not tell, the rank. */
  readonly localRank: number;
  /** The machine and port where processes meet. */
  readonly host: string;
  readonly port: number;
  /** Whether this process serves the meeting place; under torchrun, torchrun does. */
  readonly serves: boolean;
  /** Keeps apart what several attempts say there. */
  readonly prefix: string;
}

const launchers = [
  { name: 'torchrun', rank: ['RANK'], size: ['WORLD_SIZE'], local: ['LOCAL_RANK'] },
  {
    name: 'mpirun',
    rank: ['OMPI_COMM_WORLD_RANK', 'PMI_RANK'],
    size: ['OMPI_COMM_WORLD_SIZE', 'PMI_SIZE'],
    local: ['OMPI_COMM_WORLD_LOCAL_RANK', 'MPI_LOCALRANKID'],
  },
  // A batch script has Slurm's variables too, but only srun starts several processes, each a task of a step.
  {
    name: 'srun',
    rank: ['SLURM_PROCID'],
    size: ['SLURM_STEP_NUM_TASKS', 'SLURM_NTASKS'],
    local: ['SLURM_LOCALID'],
    needs: 'SLURM_STEP_ID',
  },
] as const;

/**
 * What a launcher's variables say: RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT and perhaps LOCAL_RANK (torchrun and others), those of mpirun (OMPI_COMM_WORLD_*, PMI_*) or of
 * Slurm's srun. Under mpirun and srun MASTER_ADDR and MASTER_PORT may be missing where they follow: all processes on one machine, or Slurm's list of
 * machines, and the job's number. Undefined where no launcher has been.
 *
 * @throws Error naming the variables that are missing or wrong
 */
export function launchFrom(env: Readonly<Record<string, string | undefined>>): Launch | undefined {
  const value = (names: readonly string[]) => {
    const name = names.find((name) => env[name]);
    return name === undefined ? undefined : { name, text: env[name]! };
  };
  const launcher = launchers.find((each) => ('needs' in each ? env[each.needs] && value(each.rank) : value(each.rank)));
  if (!launcher) {
    if (!env.WORLD_SIZE) return undefined;
    throw new Error(`launchFrom: WORLD_SIZE is ${env.WORLD_SIZE}, and RANK is missing`);
  }
  const whole = (names: readonly string[], below: number, otherwise?: number): number => {
    const found = value(names);
    if (!found) {
      if (otherwise !== undefined) return otherwise;
      throw new Error(`launchFrom: ${names.join(' or ')} is missing, expected beside ${launcher.rank[0]}`);
    }
    const number = Number(found.text);
    if (Number.isInteger(number) && number >= 0 && number < below) return number;
    throw new Error(`launchFrom: ${found.name} is ${found.text}, expected a whole number below ${below}`);
  };
  const size = whole(launcher.size, 2 ** 20);
  const rank = whole(launcher.rank, size);
  const host = env.MASTER_ADDR || (launcher.name === 'torchrun' ? undefined : knownHost(env, size));
  if (host === undefined) {
    throw new Error('launchFrom: MASTER_ADDR is missing, expected the machine of process 0');
  }
  const fallback = launcher.name === 'torchrun' ? undefined : 29500 + (Number(env.SLURM_JOB_ID ?? 0) % 10_000);
  const byAgent = env.TORCHELASTIC_USE_AGENT_STORE === 'True';
  return {
    rank,
    size,
    localRank: whole(launcher.local, 2 ** 20, size === 1 ? 0 : launcher.name === 'torchrun' ? rank : undefined),
    host,
    port: whole(['MASTER_PORT'], 2 ** 16, fallback),
    serves: rank === 0 && !byAgent,
    prefix: `cm/${env.TORCHELASTIC_RESTART_COUNT ?? 0}`,
  };
}

/** The machine of process 0, where that follows from a launcher's own variables. */
function knownHost(env: Readonly<Record<string, string | undefined>>, size: number): string | undefined {
  if (env.SLURM_STEP_ID) {
    // node[03-07,09],other or a,b: the first of them.
    const list = env.SLURM_STEP_NODELIST ?? env.SLURM_JOB_NODELIST;
    const [, name, first, suffix] = /^([^,[]+)(?:\[(\w+)[^\]]*\]([^,]*))?/.exec(list ?? '') ?? [];
    return name && name + (first ?? '') + (suffix ?? '');
  }
  const local = env.OMPI_COMM_WORLD_LOCAL_SIZE ?? env.MPI_LOCALNRANKS;
  return size === 1 || Number(local) === size ? '127.0.0.1' : undefined;
}
