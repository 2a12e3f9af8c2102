// Asks PyTorch's CUDA caching allocator for memory as a script says, and writes what it did.
//
// Lines read: "alloc NUMBER BYTES", "free NUMBER".
// Lines written: "segment ADDRESS BYTES" and "release ADDRESS BYTES" (taken from CUDA, given back to it), then for the
// event itself "alloc NUMBER ADDRESS ALLOCATED RESERVED", "free NUMBER ALLOCATED RESERVED" or "oom NUMBER ALLOCATED
// RESERVED" with the allocator's own statistics after it. In the end "block SEGMENT ADDRESS BYTES REQUESTED TAKEN" for
// every block of its snapshot, and "peak ALLOCATED RESERVED REQUESTED".
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/util/Logging.h>

#include <iostream>
#include <map>
#include <string>

namespace caching = c10::cuda::CUDACachingAllocator;
using c10::CachingDeviceAllocator::TraceEntry;

static void trace(const TraceEntry& entry) {
  if (entry.action_ == TraceEntry::SEGMENT_ALLOC)
    std::cout << "segment " << entry.addr_ << ' ' << entry.size_ << '\n';
  else if (entry.action_ == TraceEntry::SEGMENT_FREE)
    std::cout << "release " << entry.addr_ << ' ' << entry.size_ << '\n';
}

static void statistics() {
  const auto stats = caching::getDeviceStats(0);
  std::cout << ' ' << stats.allocated_bytes[0].current << ' ' << stats.reserved_bytes[0].current << '\n';
}

int main() {
  c10::initLogging();  // reads TORCH_CPP_LOG_LEVEL
  caching::init(1);
  caching::attachAllocatorTraceTracker(trace);
  std::map<long, c10::DataPtr> held;
  std::string word;
  long number = 0;
  while (std::cin >> word >> number) {
    if (word == "free") {
      held.erase(number);
      std::cout << "free " << number;
    } else {
      size_t bytes = 0;
      std::cin >> bytes;
      try {
        auto data = caching::get()->allocate(bytes);
        std::cout << "alloc " << number << ' ' << reinterpret_cast<size_t>(data.get());
        held[number] = std::move(data);
      } catch (const c10::OutOfMemoryError&) {
        std::cout << "oom " << number;
      }
    }
    statistics();
  }
  for (const auto& segment : caching::snapshot().segments) {
    size_t address = segment.address;
    for (const auto& block : segment.blocks) {
      std::cout << "block " << segment.address << ' ' << address << ' ' << block.size << ' ' << block.requested_size
                << ' ' << block.allocated << '\n';
      address += block.size;
    }
  }
  const auto stats = caching::getDeviceStats(0);
  std::cout << "peak " << stats.allocated_bytes[0].peak << ' ' << stats.reserved_bytes[0].peak << ' '
            << stats.requested_bytes[0].peak << std::endl;
  std::_Exit(0);  // what is still held needs no tidying
}
