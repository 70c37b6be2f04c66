// The exchange's core behind the C interface of the public matching-engine challenge.
//
// Once, before any clock: start Python in this process, have benchmarks/challenge/host.py open a venue and compile, and
// take the addresses of two machine-code functions.  From then on no Python runs.  Reports travel over our own ring
// unless CASHEW_CHALLENGE_QUEUE is defined at compile time (then over the queue that the harness hands in).
#include <Python.h>
#include <dlfcn.h>
#include <immintrin.h>
#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "matching_engine_api.h"

namespace {

constexpr uint64_t kPublish = 64;       // reports between two publications
constexpr uint64_t kStaged = 1u << 17;  // reports of one message at most, when they go over another queue
#ifdef CASHEW_CHALLENGE_QUEUE
constexpr int kPast = 0;  // reports are read again at once
#else
constexpr int kPast = 1;  // reports are for another core: past the caches
#endif
constexpr size_t kPage = size_t{2} << 20;

// One writer, one reader; each keeps what it last saw of the other's counter.
struct alignas(128) Ring {
    me_report_t* slots = nullptr;
    uint64_t mask = 0;
    void* mapping = nullptr;
    size_t mapped = 0;
    alignas(128) std::atomic<uint64_t> head{0};  // published
    alignas(128) std::atomic<uint64_t> tail{0};  // consumed
    alignas(128) uint64_t read = 0;
    uint64_t head_seen = 0;
};

void* ring_create(uint32_t capacity) {
    uint64_t slots = 2 * kPublish;
    while (slots < capacity) slots <<= 1;
    auto* ring = new Ring;
    const size_t bytes = slots * sizeof(me_report_t);
    ring->mapped = bytes + kPage;
    ring->mapping = mmap(nullptr, ring->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ring->mapping == MAP_FAILED) return nullptr;
    const auto at = (reinterpret_cast<uintptr_t>(ring->mapping) + kPage - 1) & ~(kPage - 1);
#ifdef MADV_HUGEPAGE
    madvise(reinterpret_cast<void*>(at), bytes, MADV_HUGEPAGE);
#endif
    std::memset(reinterpret_cast<void*>(at), 0, bytes);  // touched before any clock
    ring->slots = reinterpret_cast<me_report_t*>(at);
    ring->mask = slots - 1;
    return ring;
}

[[maybe_unused]] uint32_t ring_drain(void* handle, me_report_t* out, uint32_t most) {
    auto* ring = static_cast<Ring*>(handle);
    if (ring->head_seen == ring->read) {
        ring->head_seen = ring->head.load(std::memory_order_acquire);
        if (ring->head_seen == ring->read) return 0;
    }
    uint64_t count = ring->head_seen - ring->read;
    if (count > most) count = most;
    const uint64_t first = ring->read & ring->mask;
    if (first + count > ring->mask + 1) count = ring->mask + 1 - first;
    std::memcpy(out, &ring->slots[first], count * sizeof(me_report_t));
    ring->read += count;
    ring->tail.store(ring->read, std::memory_order_release);
    return static_cast<uint32_t>(count);
}

[[maybe_unused]] void ring_destroy(void* handle) {
    auto* ring = static_cast<Ring*>(handle);
    munmap(ring->mapping, ring->mapped);
    delete ring;
}

using drive_t = int (*)(int64_t*, void**, int64_t, int64_t, int64_t, int64_t);

drive_t drive = nullptr, query = nullptr;
int64_t handle = 0, own = 0;
Ring* ring = nullptr;
[[maybe_unused]] const me_transport_t* transport = nullptr;
[[maybe_unused]] void* sink = nullptr;
enum { kWritten = 4 };  // word of the adapter's header in host.py

[[maybe_unused]] void publish() {
    _mm_sfence();
    ring->head.store(reinterpret_cast<uint64_t*>(own)[kWritten], std::memory_order_release);
}

void take(const me_msg_t* messages, uint32_t count) {
    int64_t result = 0;
    void* error = nullptr;
#ifdef CASHEW_CHALLENGE_QUEUE
    auto* written = &reinterpret_cast<uint64_t*>(own)[kWritten];
    for (uint32_t i = 0; i < count; ++i) {
        drive(&result, &error, handle, own, reinterpret_cast<int64_t>(messages + i), 1);
        for (uint64_t r = 0; r < *written; ++r)
            while (!transport->push(sink, &ring->slots[r])) _mm_pause();
        *written = 0;  // the same few slots for every message
    }
#else
    drive(&result, &error, handle, own, reinterpret_cast<int64_t>(messages), count);
#endif
}

const char* variable(const char* name, const char* fallback) {
    const char* found = getenv(name);
    return found != nullptr ? found : fallback;
}

[[noreturn]] void fail(const char* what) {
    PyErr_Print();
    std::fprintf(stderr, "cashew challenge adapter: %s\n", what);
    std::abort();
}

void start_python() {
    PyConfig config;
    PyConfig_InitPythonConfig(&config);
    config.install_signal_handlers = 0;
    PyConfig_SetBytesString(&config, &config.executable, variable("CASHEW_CHALLENGE_PYTHON", CASHEW_PYTHON));
    if (PyStatus_Exception(Py_InitializeFromConfig(&config))) fail("Python does not start");
    PyConfig_Clear(&config);
}

}  // namespace

extern "C" {

void engine_init(uint64_t, const me_transport_t* given, void* given_sink) {
    transport = given;
    sink = given_sink;
#ifdef CASHEW_CHALLENGE_QUEUE
    ring = static_cast<Ring*>(ring_create(kStaged));
#else
    ring = static_cast<Ring*>(given_sink);
#endif
    dlopen(CASHEW_LIBPYTHON, RTLD_NOW | RTLD_GLOBAL);  // numpy looks for Python's symbols in the whole process
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    start_python();
    PyObject* path = PySys_GetObject("path");
    PyObject* root = PyUnicode_FromString(variable("CASHEW_CHALLENGE_ROOT", CASHEW_ROOT));
    PyList_Insert(path, 0, root);
    PyObject* host = PyImport_ImportModule("benchmarks.challenge.host");
    if (host == nullptr) fail("host.py cannot be imported");
    PyObject* digest = PyObject_CallMethod(host, "sources_digest", nullptr);
    if (digest == nullptr) fail("no digest");
    std::fprintf(stderr, "cashew core, sha256 of its sources %s\n", PyUnicode_AsUTF8(digest));
    const auto orders = strtoull(variable("CASHEW_CHALLENGE_ORDERS", "1048576"), nullptr, 10);
    PyObject* made = PyObject_CallMethod(host, "build", "KKKKKKi", reinterpret_cast<unsigned long long>(ring->slots),
                                         reinterpret_cast<unsigned long long>(&ring->head),
                                         reinterpret_cast<unsigned long long>(&ring->tail),
                                         static_cast<unsigned long long>(ring->mask + 1),
                                         static_cast<unsigned long long>(kPublish), orders, kPast);
    if (made == nullptr) fail("host.py cannot open its venue");
    uint64_t found[4];
    for (int i = 0; i < 4; ++i) found[i] = PyLong_AsUnsignedLongLong(PyTuple_GetItem(made, i));
    drive = reinterpret_cast<drive_t>(found[0]);
    query = reinterpret_cast<drive_t>(found[1]);
    handle = static_cast<int64_t>(found[2]);
    own = static_cast<int64_t>(found[3]);
}

void engine_shutdown(void) {}

void engine_on_batch(const me_msg_t* messages, uint32_t count) { take(messages, count); }

void engine_on_new_order(const new_order_t* order) {
    me_msg_t message{};
    message.type = 0;
    message.no = *order;
    take(&message, 1);
}

void engine_on_cancel(const cancel_t* cancel) {
    me_msg_t message{};
    message.type = 1;
    message.c = *cancel;
    take(&message, 1);
}

void engine_on_modify(const modify_t* modify) {
    me_msg_t message{};
    message.type = 2;
    message.md = *modify;
    take(&message, 1);
}

void engine_flush(void) {
#ifndef CASHEW_CHALLENGE_QUEUE
    publish();
#endif
}

static int64_t ask(int64_t what, int64_t price, int64_t side) {
    int64_t result = 0;
    void* error = nullptr;
    query(&result, &error, handle, what, price, side);
    return result;
}

int64_t engine_query_best_bid(void) { return ask(0, 0, 0); }
int64_t engine_query_best_ask(void) { return ask(1, 0, 0); }
uint64_t engine_query_depth_at(int64_t price, uint8_t side) { return static_cast<uint64_t>(ask(2, price, side)); }

#ifndef CASHEW_CHALLENGE_QUEUE
static int ring_push(void*, const me_report_t*) { return 0; }  // reports are written in place
static void ring_flush(void*) { publish(); }

const me_transport_t* engine_get_transport(void) {
    static const me_transport_t ours = {ring_create, ring_push, ring_drain, ring_flush, ring_destroy};
    return &ours;
}
#endif

}  // extern "C"
