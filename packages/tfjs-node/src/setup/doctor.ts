import { existsSync } from 'node:fs';
import { hasGpu, home, installation } from '../installation';
import { findCompiler } from './compile';
import { runs } from './run';
import { findTensorFlow } from './tensorflow';

/** What is there and what is missing, a line each, and whether the backend can be used. */
export function diagnose(): { lines: string[]; usable: boolean } {
  const compiler = findCompiler();
  const found = findTensorFlow({});
  const lines = [
    `Node ${process.version} on ${process.platform} ${process.arch}`,
    compiler ? `C++ compiler: ${compiler.version}` : 'C++ compiler: none. Install g++ or set CXX.',
    found
      ? `TensorFlow: ${found.source}, ${found.folder}`
      : 'TensorFlow: none found. `cm-tfjs-node setup` fetches one by pip.',
    runs('python3', ['-m', 'pip', '--version']) ? 'pip: present' : 'pip: none. Needed to fetch TensorFlow.',
    runs('npm', ['--version']) ? 'npm: present' : 'npm: none. Needed to fetch the sources of the binding.',
    hasGpu() ? 'NVIDIA driver: present' : 'NVIDIA driver: none; the CPU is used',
    `Folder: ${home()}${existsSync(home()) ? '' : ' (not made yet)'}`,
  ];
  try {
    const { binding, version, gpu } = installation();
    lines.push(`Set up: TensorFlow ${version}${gpu ? ' with CUDA' : ''}, ${binding}`);
    return { lines, usable: true };
  } catch (error) {
    lines.push((error as Error).message);
    return { lines, usable: false };
  }
}
