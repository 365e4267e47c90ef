import { bytesOf, type DType } from './dtypes';
import { numpyNames } from './numpy-pickle';
import { Constructor, kindOf, type PickleContext } from './pickle';
import { type Storage, stridedTensor } from './strided';
import { CheckpointObject, CheckpointTensor, dictionary, isDictionary } from './values';

/** A type of PyTorch storages: a name that only persistent ids refer to. */
export class StorageType extends Constructor {
  constructor(
    name: string,
    readonly dtype: DType,
  ) {
    super(name);
  }
}

/** A type of PyTorch's values, as the name that a tree shows: `torch.float16`. */
const torchDtypes: Readonly<Record<string, DType>> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint64: 'U64',
  uint32: 'U32',
  uint16: 'U16',
  uint8: 'U8',
  bool: 'BOOL',
};

/** PyTorch's typed storages. */
export const torchStorages = {
  DoubleStorage: 'F64',
  FloatStorage: 'F32',
  HalfStorage: 'F16',
  BFloat16Storage: 'BF16',
  LongStorage: 'I64',
  IntStorage: 'I32',
  ShortStorage: 'I16',
  CharStorage: 'I8',
  ByteStorage: 'U8',
  BoolStorage: 'BOOL',
} as const satisfies Record<string, DType>;

/** A storage of a file, which tensors of the file view. */
export class TorchStorage implements Storage {
  constructor(
    readonly dtype: DType,
    readonly length: number,
    readonly read: Storage['read'],
  ) {}
}

/** Storage, offset, shape and strides: how PyTorch pickles a tensor. What else is given (gradient flags, hooks) is no data. */
function tensorOf([storage, offset, shape, strides]: readonly unknown[], { fail }: PickleContext): CheckpointTensor {
  return storage instanceof TorchStorage
    ? stridedTensor(storage, offset, shape, strides, fail)
    : fail(`tensor views ${kindOf(storage)}, expected a storage`);
}

/** Bytes read as another type, as PyTorch's newest integer types are pickled. */
function typedTensor(args: readonly unknown[], context: PickleContext): CheckpointTensor {
  const { fail } = context;
  const [storage, offset, shape, strides] = args;
  const dtype = torchDtypes[String(typeof args[6] === 'string' ? args[6] : '').replace('torch.', '')];
  if (!(storage instanceof TorchStorage) || storage.dtype !== 'U8' || !dtype) {
    return fail(`tensor is ${kindOf(args[6])} of ${kindOf(storage)}, expected a type and bytes`);
  }
  const width = bytesOf[dtype];
  const length = Math.floor(storage.length / width);
  return stridedTensor({ dtype, length, read: storage.read }, offset, shape, strides, fail);
}

const tensor = new Constructor('torch._utils._rebuild_tensor', tensorOf);
const tensorV2 = new Constructor('torch._utils._rebuild_tensor_v2', tensorOf);
const tensorV3 = new Constructor('torch._utils._rebuild_tensor_v3', typedTensor);

const parameter = (name: string) =>
  new Constructor(`torch._utils.${name}`, ([data], { fail }) =>
    data instanceof CheckpointTensor ? data : fail(`parameter is ${kindOf(data)}, expected a tensor`),
  );

/** A subclass of tensors: function, class, arguments, attributes. */
const fromType = new Constructor('torch._tensor._rebuild_from_type_v2', ([rebuild, , args], context) =>
  (rebuild === tensor || rebuild === tensorV2 || rebuild === tensorV3) && Array.isArray(args)
    ? (rebuild as Constructor).call(args, context)
    : context.fail(`tensor is made by ${kindOf(rebuild)}`),
);

/** An object of NVIDIA's `torch_utils.persistence`: its class's name and attributes. The source that comes with it is dropped unread. */
const persistentObject = new Constructor(
  'torch_utils.persistence._reconstruct_persistent_obj',
  ([meta], { fail, budget, offset }) => {
    if (!isDictionary(meta)) return fail(`persistent object is described by ${kindOf(meta)}`);
    const { type, class_name: className, state } = meta;
    if (type !== 'class' || typeof className !== 'string') return fail('persistent object is of no class');
    const object = new CheckpointObject(className, dictionary());
    if (state === null || state === undefined) return object;
    if (!isDictionary(state)) return fail(`persistent object has ${kindOf(state)} for a state`);
    budget.allocate(16 * Object.keys(state).length, offset);
    Object.assign(object.state, state);
    return object;
  },
);

/** Classes whose objects are attributes and no more. */
const objectClasses = [
  ['argparse', 'Namespace'],
  ['types', 'SimpleNamespace'],
  ...['ModuleDict', 'ModuleList', 'ParameterDict', 'ParameterList', 'Sequential'].map((name) => [
    'torch.nn.modules.container',
    name,
  ]),
  ...['Linear', 'Identity'].map((name) => ['torch.nn.modules.linear', name]),
  ...['Conv1d', 'Conv2d', 'Conv3d', 'ConvTranspose2d'].map((name) => ['torch.nn.modules.conv', name]),
  ...['GroupNorm', 'LayerNorm'].map((name) => ['torch.nn.modules.normalization', name]),
  ...['BatchNorm1d', 'BatchNorm2d'].map((name) => ['torch.nn.modules.batchnorm', name]),
  ...['ReLU', 'SiLU', 'GELU', 'Sigmoid', 'Tanh', 'LeakyReLU'].map((name) => ['torch.nn.modules.activation', name]),
  ['torch.nn.modules.sparse', 'Embedding'],
  ['torch.nn.modules.dropout', 'Dropout'],
] as [string, string][];

/** A list of the items of one, and nothing of nothing. */
function itemsOf(name: string) {
  return new Constructor(name, ([items = []], { fail, budget, offset }) => {
    if (!Array.isArray(items)) return fail(`${name} is made of ${kindOf(items)}`);
    budget.allocate(8 * items.length, offset);
    return items.slice();
  });
}

/** A dictionary; of items only where they are none, for Python pickles them apart. */
function emptyDictionary(name: string) {
  return new Constructor(name, (args, { fail }) => {
    const items = args.find((arg) => Array.isArray(arg) || isDictionary(arg)) ?? [];
    return Object.keys(items as object).length === 0 ? dictionary() : fail(`${name} is called with items`);
  });
}

/** Every name that a checkpoint's pickle may use, as `module name`. */
export const allowedNames: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ...numpyNames,
  ...['builtins', '__builtin__'].flatMap((module): [string, unknown][] => [
    ...['set', 'frozenset', 'list', 'tuple'].map((name): [string, unknown] => [`${module} ${name}`, itemsOf(name)]),
    [`${module} dict`, emptyDictionary('dict')],
    [`${module} object`, new Constructor('object')],
    [
      `${module} bytearray`,
      new Constructor('bytearray', ([bytes = new Uint8Array(0)], { fail }) =>
        bytes instanceof Uint8Array ? bytes : fail(`bytearray is made of ${kindOf(bytes)}`),
      ),
    ],
  ]),
  ['collections OrderedDict', emptyDictionary('collections.OrderedDict')],
  ['collections defaultdict', emptyDictionary('collections.defaultdict')],
  ['collections Counter', emptyDictionary('collections.Counter')],
  ['dnnlib.util EasyDict', emptyDictionary('dnnlib.util.EasyDict')],
  ['torch_utils.persistence _reconstruct_persistent_obj', persistentObject],
  ['torch._utils _rebuild_tensor', tensor],
  ['torch._utils _rebuild_tensor_v2', tensorV2],
  ['torch._utils _rebuild_tensor_v3', tensorV3],
  ['torch._utils _rebuild_parameter', parameter('_rebuild_parameter')],
  ['torch._utils _rebuild_parameter_with_state', parameter('_rebuild_parameter_with_state')],
  ['torch._tensor _rebuild_from_type_v2', fromType],
  ['torch.nn.parameter Parameter', new Constructor('torch.nn.Parameter')],
  ['torch.nn.parameter Buffer', new Constructor('torch.nn.Buffer')],
  ['torch Size', itemsOf('torch.Size')],
  [
    'torch device',
    new Constructor('torch.device', ([type, index], { fail }) =>
      typeof type !== 'string' || type.length > 100
        ? fail(`torch.device is ${kindOf(type)}`)
        : typeof index === 'number'
          ? `${type}:${index}`
          : type,
    ),
  ],
  [
    'torch.storage _load_from_bytes',
    new Constructor('torch.storage._load_from_bytes', ([bytes], { fail, nested }) =>
      bytes instanceof Uint8Array ? nested(bytes) : fail(`storage is read from ${kindOf(bytes)}`),
    ),
  ],
  ...Object.keys(torchDtypes).map((name): [string, unknown] => [`torch ${name}`, `torch.${name}`]),
  ...Object.entries(torchStorages).flatMap(([name, dtype]): [string, unknown][] => [
    [`torch ${name}`, new StorageType(`torch.${name}`, dtype)],
    [`torch.cuda ${name}`, new StorageType(`torch.cuda.${name}`, dtype)],
  ]),
  ['torch.storage UntypedStorage', new StorageType('torch.UntypedStorage', 'U8')],
  ...objectClasses.map(([module, name]): [string, unknown] => [
    `${module} ${name}`,
    new Constructor(`${module}.${name}`, () => new CheckpointObject(`${module}.${name}`, dictionary())),
  ]),
]);
