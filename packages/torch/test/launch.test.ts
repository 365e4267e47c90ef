import { describe, expect, it } from 'vitest';
import { launchFrom } from '../src/launch';

const torchrun = { RANK: '1', WORLD_SIZE: '4', LOCAL_RANK: '1', MASTER_ADDR: 'a', MASTER_PORT: '1234' };

describe('a launcher', () => {
  it('is none without its variables, as in a batch script of Slurm outside srun', () => {
    expect(launchFrom({})).toBeUndefined();
    expect(launchFrom({ SLURM_PROCID: '0', SLURM_NTASKS: '4', SLURM_JOB_ID: '7' })).toBeUndefined();
  });

  it('is torchrun, which serves the meeting place itself', () => {
    const own = { rank: 1, size: 4, localRank: 1, host: 'a', port: 1234, serves: false, prefix: 'cm/0' };
    expect(launchFrom(torchrun)).toEqual(own);
    expect(launchFrom({ ...torchrun, RANK: '0', LOCAL_RANK: '0' })?.serves).toBe(true);
    const agent = { ...torchrun, RANK: '0', TORCHELASTIC_USE_AGENT_STORE: 'True', TORCHELASTIC_RESTART_COUNT: '2' };
    expect(launchFrom(agent)).toMatchObject({ serves: false, prefix: 'cm/2' });
  });

  it('is any other with RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT', () => {
    expect(launchFrom({ ...torchrun, LOCAL_RANK: undefined })).toMatchObject({ rank: 1, size: 4, localRank: 1 });
  });

  it('is srun, whose first machine is where processes meet', () => {
    const slurm = {
      SLURM_STEP_ID: '0',
      SLURM_PROCID: '9',
      SLURM_STEP_NUM_TASKS: '16',
      SLURM_LOCALID: '1',
      SLURM_JOB_ID: '70011',
    };
    const on = (list: string) => launchFrom({ ...slurm, SLURM_STEP_NODELIST: list });
    expect(on('gpu[03-04,7],x1')).toMatchObject({ rank: 9, size: 16, localRank: 1, host: 'gpu03', port: 29511 });
    expect(on('x1,gpu[03-04]')?.host).toBe('x1');
    expect(on('x-[1,3].lan')?.host).toBe('x-1.lan');
  });

  it('is mpirun, on one machine without an address', () => {
    const mpi = { OMPI_COMM_WORLD_RANK: '1', OMPI_COMM_WORLD_SIZE: '2', OMPI_COMM_WORLD_LOCAL_RANK: '1' };
    expect(launchFrom({ ...mpi, OMPI_COMM_WORLD_LOCAL_SIZE: '2' })).toMatchObject({ host: '127.0.0.1', port: 29500 });
    expect(() => launchFrom({ ...mpi, OMPI_COMM_WORLD_LOCAL_SIZE: '1' })).toThrow(/MASTER_ADDR is missing/);
    expect(launchFrom({ PMI_RANK: '0', PMI_SIZE: '1' })).toMatchObject({ rank: 0, size: 1, localRank: 0 });
  });

  it('is told what is missing or wrong', () => {
    for (const name of ['WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT', 'RANK']) {
      expect(() => launchFrom({ ...torchrun, [name]: undefined })).toThrow(`${name} is missing`);
    }
    expect(() => launchFrom({ ...torchrun, RANK: '4' })).toThrow('RANK is 4, expected a whole number below 4');
  });
});
