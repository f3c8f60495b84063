// A GPU that computes nothing, put before the CUDA libraries that torch loads (LD_PRELOAD).
//
// Memory of the device is memory of the host, of zeros; kernels and products leave it as it is.
// What is checked is how they are asked for. Streams, events and capture follow the documentation
// of the CUDA runtime, and are stricter: while a step is captured, no call may wait for the device,
// nothing may be copied from or to the host, and no work may go to a stream outside of the capture.
// Whatever breaks a rule ends in an error, which torch raises, and in a line on stderr. With a file
// in the environment variable NULL_GPU_GRAPHS, the kernels of every graph are listed there.

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#define LOCK std::lock_guard<std::recursive_mutex> lock(mutex)
#define ALWAYS(name, ...) \
  cudaError_t name(__VA_ARGS__) { return cudaSuccess; }

namespace {

enum Place {
  nowhere = cudaMemoryTypeUnregistered,
  host = cudaMemoryTypeHost,
  device = cudaMemoryTypeDevice
};
struct Node {
  std::string name;
  std::set<int> after;
};
struct Stream;
struct Capture {
  Stream* origin;
  std::vector<Node> nodes;
  std::set<Stream*> streams;
  bool broken;
};
struct Stream {
  Capture* capture;
  std::set<int> last;
};
struct Event {
  Capture* capture;
  std::set<int> last;
  bool recorded;
};
struct Handle {
  cudaStream_t stream;
  int math, pointers;
};
struct Counts {
  long launches, waits, replays, captures, nodes, depth, streams;
};

std::recursive_mutex mutex;
Stream default_stream;
Counts counts;
thread_local cudaError_t last_error;
thread_local cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
const size_t memory = size_t(80) << 30;
size_t taken;

// Made when first used, and never destroyed: other libraries call before and after this one lives.
template <class T>
T& lasting() {
  static T* made = new T;
  return *made;
}
std::set<Capture*>& captures() { return lasting<std::set<Capture*>>(); }
std::unordered_map<const void*, std::string>& kernels() {
  return lasting<std::unordered_map<const void*, std::string>>();
}
std::map<const char*, std::pair<size_t, Place>>& blocks() {
  return lasting<std::map<const char*, std::pair<size_t, Place>>>();
}

Stream& of(cudaStream_t stream) { return (size_t)stream <= 2 ? default_stream : *(Stream*)stream; }

cudaError_t fault(cudaError_t error, const std::string& what) {
  fprintf(stderr, "null GPU: %s\n", what.c_str());
  for (Capture* capture : captures()) capture->broken = true;
  return last_error = error;
}

cudaError_t work(cudaStream_t on, const std::string& name) {
  LOCK;
  counts.launches++;
  Stream& stream = of(on);
  if (!stream.capture)
    return captures().empty()
               ? cudaSuccess
               : fault(cudaErrorStreamCaptureImplicit, "work outside of the capture: " + name);
  auto& nodes = stream.capture->nodes;
  nodes.push_back({name, stream.last});
  stream.last = {int(nodes.size()) - 1};
  return cudaSuccess;
}

cudaError_t wait(const char* call) {
  LOCK;
  counts.waits++;
  return captures().empty()
             ? cudaSuccess
             : fault(cudaErrorStreamCaptureUnsupported, std::string("capture waits in ") + call);
}

cudaError_t take(void** out, size_t size, Place place) {
  LOCK;
  size = std::max<size_t>(512, (size + 511) / 512 * 512);
  if (place == device && taken + size > memory) return last_error = cudaErrorMemoryAllocation;
  if (!(*out = aligned_alloc(512, size))) return last_error = cudaErrorMemoryAllocation;
  memset(*out, 0, size);
  blocks()[(char*)*out] = {size, place};
  if (place == device) taken += size;
  return cudaSuccess;
}

cudaError_t drop(void* pointer) {
  LOCK;
  auto found = blocks().find((char*)pointer);
  if (found == blocks().end()) return cudaSuccess;
  if (found->second.second == device) taken -= found->second.first;
  blocks().erase(found);
  free(pointer);
  return cudaSuccess;
}

Place place_of(const void* pointer) {
  LOCK;
  auto after = blocks().upper_bound((char*)pointer);
  if (after == blocks().begin()) return nowhere;
  auto& [start, block] = *--after;
  return (char*)pointer < start + block.first ? block.second : nowhere;
}

cudaError_t copy(void* to, const void* from, size_t size, cudaStream_t stream) {
  if (place_of(to) == device && place_of(from) == device) return work(stream, "copy");
  LOCK;
  if (!captures().empty())
    return fault(cudaErrorStreamCaptureUnsupported, "capture copies from or to the host");
  memcpy(to, from, size);
  return cudaSuccess;
}

bool live(const Event& event) { return event.capture && captures().count(event.capture); }

}  // namespace

extern "C" {

Counts null_counts() { return counts; }

// Kernels.
void** __cudaRegisterFatBinary(void*) {
  static void* handle;
  return &handle;
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
char __cudaInitModule(void**) { return 1; }
void __cudaRegisterVar(void**, char*, char*, const char*, int, size_t, int, int) {}
void __cudaRegisterFunction(void**, const char* function, char*, const char* name, int, void*,
                            void*, void*, void*, int*) {
  LOCK;
  kernels()[function] = name;
}
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* function) {
  *kernel = (cudaKernel_t)function;
  return cudaSuccess;
}
struct Configuration {
  dim3 grid, block;
  size_t shared;
  cudaStream_t stream;
};
static thread_local Configuration configuration;
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, cudaStream_t stream) {
  configuration = {grid, block, shared, stream};
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared, void* stream) {
  *grid = configuration.grid, *block = configuration.block, *shared = configuration.shared;
  *(cudaStream_t*)stream = configuration.stream;
  return cudaSuccess;
}
cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void**, size_t,
                             cudaStream_t stream) {
  LOCK;
  const std::string& name = kernels()[function];
  unsigned blocks = grid.x * grid.y * grid.z, threads = block.x * block.y * block.z;
  if (!blocks || !threads || threads > 1024)
    return fault(cudaErrorInvalidConfiguration, "no such grid: " + name);
  return work(stream, name);
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments,
                               size_t shared, cudaStream_t stream) {
  return cudaLaunchKernel((const void*)kernel, grid, block, arguments, shared, stream);
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* function,
                                void** arguments) {
  return cudaLaunchKernel(function, config->gridDim, config->blockDim, arguments, 0,
                          config->stream);
}
ALWAYS(cudaFuncSetAttribute, const void*, cudaFuncAttribute, int)
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void*) {
  *attributes = {};
  attributes->maxThreadsPerBlock = 1024, attributes->numRegs = 32;
  attributes->ptxVersion = attributes->binaryVersion = 90;
  return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void*,
                                                                   int threads, size_t, unsigned) {
  *blocks = 2048 / threads;
  return cudaSuccess;
}

// The device, much like an H100.
ALWAYS(cudaSetDevice, int)
cudaError_t cudaGetDevice(int* number) {
  *number = 0;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = 0, *greatest = -5;
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *free = memory - taken, *total = memory;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int) {
  *p = {};
  strcpy(p->name, "null GPU");
  p->totalGlobalMem = memory, p->major = 9, p->multiProcessorCount = 132, p->warpSize = 32,
  p->concurrentKernels = 1;
  p->maxThreadsPerBlock = p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024,
  p->maxThreadsDim[2] = 64;
  p->maxGridSize[0] = 2147483647, p->maxGridSize[1] = p->maxGridSize[2] = 65535;
  p->maxThreadsPerMultiProcessor = 2048, p->maxBlocksPerMultiProcessor = 32;
  p->regsPerBlock = p->regsPerMultiprocessor = 65536, p->textureAlignment = 512,
  p->l2CacheSize = 50 << 20;
  p->sharedMemPerBlock = 49152, p->sharedMemPerBlockOptin = 232448,
  p->sharedMemPerMultiprocessor = 233472;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrMaxGridDimX:
      *value = 2147483647;
      break;
    case cudaDevAttrMultiProcessorCount:
      *value = 132;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = 49152;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = 232448;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = 9;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = 0;
      break;
    default:
      *value = 1024;
  }
  return cudaSuccess;
}
static int context(int, unsigned* flags, int* active) {
  *flags = 0, *active = 1;
  return 0;
}
cudaError_t cudaGetDriverEntryPointByVersion(const char*, void** function, unsigned,
                                             unsigned long long,
                                             cudaDriverEntryPointQueryResult* found) {
  *function = (void*)context, *found = cudaDriverEntryPointSuccess;
  return cudaSuccess;
}
int cuDevicePrimaryCtxGetState(int number, unsigned* flags, int* active) {
  return context(number, flags, active);
}
int cuCtxGetCurrent(void** found) {
  *found = &default_stream;
  return 0;
}

// Errors.
cudaError_t cudaPeekAtLastError() { return last_error; }
cudaError_t cudaGetLastError() {
  cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}
const char* cudaGetErrorString(cudaError_t) {
  return "the null GPU has said on stderr what is wrong";
}

// Memory.
cudaError_t cudaMalloc(void** out, size_t size) {
  LOCK;
  return !captures().empty() && mode != cudaStreamCaptureModeRelaxed
             ? fault(cudaErrorStreamCaptureUnsupported, "capture takes memory")
             : take(out, size, device);
}
cudaError_t cudaFree(void* pointer) {
  LOCK;
  return pointer && !captures().empty() && mode != cudaStreamCaptureModeRelaxed
             ? fault(cudaErrorStreamCaptureUnsupported, "capture frees memory")
             : drop(pointer);
}
cudaError_t cudaHostAlloc(void** out, size_t size, unsigned) { return take(out, size, host); }
cudaError_t cudaFreeHost(void* pointer) { return drop(pointer); }
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  *attributes = {};
  attributes->type = (cudaMemoryType)place_of(pointer);
  attributes->devicePointer = attributes->hostPointer = (void*)pointer;
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind,
                            cudaStream_t stream) {
  return copy(to, from, size, stream);
}
cudaError_t cudaMemcpy(void* to, const void* from, size_t size, cudaMemcpyKind) {
  cudaError_t error = wait("cudaMemcpy");
  return error ? error : copy(to, from, size, nullptr);
}
cudaError_t cudaMemset(void*, int, size_t) { return work(nullptr, "memset"); }
cudaError_t cudaMemsetAsync(void*, int, size_t, cudaStream_t stream) {
  return work(stream, "memset");
}

// Streams and events.
ALWAYS(cudaStreamDestroy, cudaStream_t)
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned, int) {
  *stream = (cudaStream_t) new Stream();
  return cudaSuccess;
}
cudaError_t cudaStreamGetPriority(cudaStream_t, int* priority) {
  *priority = 0;
  return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t) { return wait("cudaStreamQuery"); }
cudaError_t cudaStreamSynchronize(cudaStream_t) { return wait("cudaStreamSynchronize"); }
cudaError_t cudaDeviceSynchronize() { return wait("cudaDeviceSynchronize"); }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = (cudaEvent_t) new Event();
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete (Event*)event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t on) {
  LOCK;
  Stream& stream = of(on);
  *(Event*)event = {stream.capture, stream.last, true};
  return cudaSuccess;
}
cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t on, unsigned) {
  return cudaEventRecord(event, on);
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  LOCK;
  return live(*(Event*)event) ? fault(cudaErrorCapturedEvent, "query of a captured event")
                              : cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  LOCK;
  return live(*(Event*)event) ? fault(cudaErrorCapturedEvent, "wait for a captured event")
                              : wait("cudaEventSynchronize");
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t, cudaEvent_t) {
  *milliseconds = 1;
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t on, cudaEvent_t waited, unsigned) {
  LOCK;
  Stream& stream = of(on);
  const Event& event = *(Event*)waited;
  if (!live(event))
    return stream.capture && event.recorded
               ? fault(cudaErrorStreamCaptureIsolation, "capture waits for work outside of it")
               : cudaSuccess;
  if (&stream == &default_stream)
    return fault(cudaErrorStreamCaptureImplicit, "the default stream waits for a capture");
  if (stream.capture && stream.capture != event.capture)
    return fault(cudaErrorStreamCaptureMerge, "two captures meet");
  stream.capture = event.capture;
  event.capture->streams.insert(&stream);
  stream.last.insert(event.last.begin(), event.last.end());
  return cudaSuccess;
}

// Capture.
cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* other) {
  std::swap(mode, *other);
  return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t on, cudaStreamCaptureMode) {
  LOCK;
  Stream& stream = of(on);
  if (&stream == &default_stream)
    return fault(cudaErrorStreamCaptureImplicit, "capture of the default stream");
  stream.capture = new Capture{&stream, {}, {&stream}, false};
  captures().insert(stream.capture);
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t on, cudaStreamCaptureStatus* status) {
  LOCK;
  Capture* capture = of(on).capture;
  *status = !capture          ? cudaStreamCaptureStatusNone
            : capture->broken ? cudaStreamCaptureStatusInvalidated
                              : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}
cudaError_t cudaStreamGetCaptureInfo(cudaStream_t on, cudaStreamCaptureStatus* status,
                                     unsigned long long* id, cudaGraph_t* graph,
                                     const cudaGraphNode_t**, const cudaGraphEdgeData**, size_t*) {
  LOCK;
  Capture* capture = of(on).capture;
  if (id) *id = (unsigned long long)capture;
  if (graph) *graph = (cudaGraph_t)capture;
  return cudaStreamIsCapturing(on, status);
}
cudaError_t cudaStreamEndCapture(cudaStream_t on, cudaGraph_t* graph) {
  LOCK;
  Stream& stream = of(on);
  Capture* capture = stream.capture;
  if (!capture || capture->origin != &stream)
    return fault(cudaErrorStreamCaptureUnmatched, "capture ends on another stream");
  std::set<int> joined, next = stream.last;
  while (!next.empty()) {
    int number = *next.begin();
    next.erase(number);
    if (joined.insert(number).second)
      next.insert(capture->nodes[number].after.begin(), capture->nodes[number].after.end());
  }
  std::vector<int> depth(capture->nodes.size());
  for (size_t i = 0; i < depth.size(); i++) {
    for (int before : capture->nodes[i].after) depth[i] = std::max(depth[i], depth[before]);
    depth[i]++;
    if (!joined.count(i))
      fault(cudaErrorStreamCaptureUnjoined, "not joined: " + capture->nodes[i].name);
  }
  counts.captures++;
  counts.nodes = depth.size(), counts.streams = capture->streams.size();
  counts.depth = depth.empty() ? 0 : *std::max_element(depth.begin(), depth.end());
  if (const char* path = getenv("NULL_GPU_GRAPHS")) {
    FILE* file = fopen(path, "a");
    for (size_t i = 0; i < depth.size(); i++)
      fprintf(file, "%ld %d %s\n", counts.captures, depth[i], capture->nodes[i].name.c_str());
    fclose(file);
  }
  captures().erase(capture);
  for (Stream* other : capture->streams) *other = {};
  *graph = (cudaGraph_t)capture;
  return capture->broken ? last_error = cudaErrorStreamCaptureInvalidated : cudaSuccess;
}
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t*, size_t* count) {
  *count = ((Capture*)graph)->nodes.size();
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* made, cudaGraph_t graph,
                                          unsigned long long) {
  *made = (cudaGraphExec_t)graph;
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t, cudaStream_t stream) {
  counts.replays++;
  return work(stream, "graph");
}
ALWAYS(cudaGraphDestroy, cudaGraph_t)
ALWAYS(cudaGraphExecDestroy, cudaGraphExec_t)

// cuBLAS.
#define DONE(name) \
  int name(...) { return 0; }
#define PRODUCT(name) \
  int name(Handle* handle) { return work(handle->stream, #name) ? 14 : 0; }
int cublasCreate_v2(Handle** handle) { *handle = new Handle(); return 0; }
int cublasSetStream_v2(Handle* handle, cudaStream_t stream) { handle->stream = stream; return 0; }
int cublasSetMathMode(Handle* handle, int math) { handle->math = math; return 0; }
int cublasGetMathMode(Handle* handle, int* math) { *math = handle->math; return 0; }
int cublasSetPointerMode_v2(Handle* handle, int mode) { handle->pointers = mode; return 0; }
int cublasGetPointerMode_v2(Handle* handle, int* mode) { *mode = handle->pointers; return 0; }
DONE(cublasDestroy_v2)
DONE(cublasSetWorkspace_v2)
PRODUCT(cublasSgemm_v2)
PRODUCT(cublasSgemmStridedBatched)
PRODUCT(cublasSgemv_v2)
PRODUCT(cublasSdot_v2)
PRODUCT(cublasDgemm_v2)
PRODUCT(cublasDgemmStridedBatched)
PRODUCT(cublasDgemv_v2)
PRODUCT(cublasDdot_v2)
PRODUCT(cublasGemmEx)
PRODUCT(cublasGemmStridedBatchedEx)
size_t cublasLtGetVersion() { return 130000; }
int cublasLtMatmulDescCreate(void** made) { *made = &counts; return 0; }
int cublasLtMatmulPreferenceCreate(void** made) { *made = &counts; return 0; }
int cublasLtMatrixLayoutCreate(void** made) { *made = &counts; return 0; }
DONE(cublasLtMatmulDescDestroy)
DONE(cublasLtMatmulDescSetAttribute)
DONE(cublasLtMatmulPreferenceDestroy)
DONE(cublasLtMatmulPreferenceSetAttribute)
DONE(cublasLtMatrixLayoutDestroy)
DONE(cublasLtMatrixLayoutSetAttribute)
int cublasLtMatmulAlgoGetHeuristic(void*, void*, void*, void*, void*, void*, void*, int, void*,
                                   int* found) {
  *found = 1;
  return 0;
}
int cublasLtMatmul(void*, void*, void*, void*, void*, void*, void*, void*, void*, void*, void*,
                   void*, void*, void*, size_t, cudaStream_t stream) {
  return work(stream, "cublasLtMatmul") ? 14 : 0;
}

// cuDNN. Plans of convolutions: one fits every operation, and needs no memory of its own.
size_t cudnnGetVersion() { return 91900; }
int cudnnCreate(Handle** handle) { return cublasCreate_v2(handle); }
int cudnnSetStream(Handle* handle, cudaStream_t on) { return cublasSetStream_v2(handle, on); }
int cudnnGetStream(Handle* handle, cudaStream_t* on) { *on = handle->stream; return 0; }
int cudnnCreateActivationDescriptor(void** made) { *made = &counts; return 0; }
int cudnnCreateTensorDescriptor(void** made) { *made = &counts; return 0; }
int cudnnBackendCreateDescriptor(int, void** made) { *made = &counts; return 0; }
DONE(cudnnDestroyActivationDescriptor)
DONE(cudnnDestroyTensorDescriptor)
DONE(cudnnBackendDestroyDescriptor)
DONE(cudnnSetActivationDescriptor)
DONE(cudnnSetTensorNdDescriptor)
DONE(cudnnBackendSetAttribute)
DONE(cudnnBackendFinalize)
PRODUCT(cudnnBackendExecute)
int cudnnBackendGetAttribute(void*, int name, int type, int64_t asked, int64_t* count, void* out) {
  const int plans = 202, integer = 3, descriptor = 15;
  if (count) *count = name == plans || (asked && (type == integer || type == descriptor));
  if (asked && out && type == integer) *(int64_t*)out = 0;
  return 0;
}
PRODUCT(cudnnBatchNormalizationForwardInference)
PRODUCT(cudnnBatchNormalizationForwardTrainingEx)
PRODUCT(cudnnBatchNormalizationBackwardEx)
int cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize(void*, int, int, void*, void*, void*,
                                                             void*, void*, size_t* size) {
  *size = 0;
  return 0;
}
int cudnnGetBatchNormalizationBackwardExWorkspaceSize(void*, int, int, void*, void*, void*, void*,
                                                      void*, void*, void*, size_t* size) {
  *size = 0;
  return 0;
}
int cudnnGetBatchNormalizationTrainingExReserveSpaceSize(void*, int, int, void*, void*,
                                                         size_t* size) {
  *size = 0;
  return 0;
}

}  // extern "C"
