export { loadMnist } from './mnist';
