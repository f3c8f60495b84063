// What the headers of the CUDA runtime take from the compiler's package, which torch does not bring.
#define CUDARTAPI
#define __host__
#define __device__
#define __constant__
#define __cudart_builtin__
#define __device_builtin__
#define __align__(n) __attribute__((aligned(n)))
#define __builtin_align__(n) __align__(n)
