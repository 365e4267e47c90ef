import type { Command } from 'commander';
import type { Output } from './command';

/** Adds `cm doctor`. */
export function addDoctorCommand(program: Command, { out }: Output): void {
  program
    .command('doctor')
    .description('says which backends there are and how fast, and what to install or fetch for more')
    .option('--json', 'as JSON', false)
    .action(async ({ json }: { json: boolean }) => {
      // Loaded when needed: other commands start at once.
      const { diagnose, diagnosisText } = await import('./doctor');
      const diagnosis = await diagnose();
      out(`${json ? JSON.stringify(diagnosis, null, 2) : diagnosisText(diagnosis)}\n`);
    });
}
