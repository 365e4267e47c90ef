export { loadCifar10 } from './cifar10-files';
export { loadMnist } from './mnist';
