import { existsSync } from 'node:fs';
import { hasGpu, home, installation } from '../installation';
import { findCompiler } from './compile';
import { debianLibtorch, findLibtorch } from './libtorch';

/** What is there and what is missing, a line each, and whether the backend can be used. */
export function diagnose(): { lines: string[]; usable: boolean } {
  const compiler = findCompiler();
  const libtorch = findLibtorch({}) ?? debianLibtorch();
  const lines = [
    `Node ${process.version} on ${process.platform} ${process.arch}`,
    compiler ? `C++ compiler: ${compiler.version}` : 'C++ compiler: none. Install g++ or set CXX.',
    libtorch
      ? `libtorch: ${libtorch.version}, ${libtorch.source}, ${libtorch.libraries}`
      : 'libtorch: none found. `cm-torch setup` fetches one by pip.',
    hasGpu() ? 'NVIDIA driver: present' : 'NVIDIA driver: none; the CPU is used',
    `Folder: ${home()}${existsSync(home()) ? '' : ' (not made yet)'}`,
  ];
  try {
    const { addon, version, cudaLibrary } = installation();
    lines.push(`Set up: libtorch ${version}${cudaLibrary ? ' with CUDA' : ''}, ${addon}`);
    return { lines, usable: true };
  } catch (error) {
    lines.push((error as Error).message);
    return { lines, usable: false };
  }
}
