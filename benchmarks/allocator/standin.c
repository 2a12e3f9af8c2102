/* A stand-in for the CUDA runtime under PyTorch's allocator: one device whose memory is numbers alone.
 *
 * cudaMalloc gives addresses that are multiples of 2 MiB, by turns right above and right below all that were given
 * before, and never one twice. It fails where more than STANDIN_BYTES (an environment variable; default: 1 TiB) would be
 * taken. Nothing is ever read or written there. Functions that are not here say that they are not supported (build.sh
 * writes them).
 */
#include <cuda_runtime_api.h>
#include <stdlib.h>
#include <string.h>

enum { SEGMENTS = 1 << 20 };
static const size_t PAGE = 2 << 20;
static size_t sizes[SEGMENTS]; /* of what was given, by its number; 0 once it is freed */
static size_t starts[SEGMENTS];
static int given;
static size_t taken, above = (size_t)1 << 45, below = (size_t)1 << 45;
static cudaError_t last = cudaSuccess;

static size_t total(void) {
    const char *text = getenv("STANDIN_BYTES");
    return text ? strtoull(text, NULL, 10) : (size_t)1 << 40;
}

cudaError_t cudaMalloc(void **pointer, size_t size) {
    if (given == SEGMENTS || taken + size > total()) return last = cudaErrorMemoryAllocation;
    size_t pages = (size + PAGE - 1) / PAGE * PAGE, start = given % 2 ? below -= pages : above;
    if (start == above) above += pages;
    *pointer = (void *)start;
    starts[given] = start;
    sizes[given++] = size;
    taken += size;
    return cudaSuccess;
}

cudaError_t cudaFree(void *pointer) {
    if (!pointer) return cudaSuccess;
    for (int k = 0; k < given; k++)
        if (starts[k] == (size_t)pointer && sizes[k]) {
            taken -= sizes[k];
            sizes[k] = 0;
            return cudaSuccess;
        }
    return last = cudaErrorInvalidValue;
}

cudaError_t cudaMemGetInfo(size_t *free, size_t *all) {
    *all = total();
    *free = *all - taken;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device) {
    if (device) return last = cudaErrorInvalidDevice;
    memset(properties, 0, sizeof *properties);
    strcpy(properties->name, "stand-in");
    properties->totalGlobalMem = total();
    properties->major = 9;
    properties->multiProcessorCount = 1;
    return cudaSuccess;
}

cudaError_t cudaGetLastError(void) {
    cudaError_t error = last;
    last = cudaSuccess;
    return error;
}

cudaError_t cudaGetDeviceCount(int *count) { return *count = 1, cudaSuccess; }
cudaError_t cudaGetDevice(int *device) { return *device = 0, cudaSuccess; }
cudaError_t cudaSetDevice(int device) { return device ? cudaErrorInvalidDevice : cudaSuccess; }
cudaError_t cudaDriverGetVersion(int *version) { return *version = CUDART_VERSION, cudaSuccess; }
cudaError_t cudaDeviceSynchronize(void) { return cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t stream) { return (void)stream, cudaSuccess; }
cudaError_t cudaStreamQuery(cudaStream_t stream) { return (void)stream, cudaSuccess; }
cudaError_t cudaThreadExchangeStreamCaptureMode(enum cudaStreamCaptureMode *mode) { return (void)mode, cudaSuccess; }
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *status) {
    return (void)stream, *status = cudaStreamCaptureStatusNone, cudaSuccess;
}
cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest) { return *least = *greatest = 0, cudaSuccess; }
const char *cudaGetErrorName(cudaError_t error) {
    return error == cudaErrorNotSupported ? "a function that the stand-in does not have" : error ? "an error" : "none";
}
const char *cudaGetErrorString(cudaError_t error) { return cudaGetErrorName(error); }
