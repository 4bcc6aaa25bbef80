#include "common/event_loop.h"

#include <pthread.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <utility>

namespace unmcp {
namespace {

// gRPC's own timers and threads do not wake an asio loop: a loop with pollers
// looks after them at least this often. An idle process then wakes 50 times a
// second, which is not measurable, and a deadline is late by at most this.
constexpr auto kTick = std::chrono::milliseconds(20);

}  // namespace

struct EventLoop::Impl {
  boost::asio::io_context io{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{io.get_executor()};
  std::atomic<bool> stopping{false};
  std::atomic<std::thread::id> thread_id{};
  TimerId last_timer = 0;
  absl::flat_hash_map<TimerId, std::unique_ptr<boost::asio::steady_timer>> timers;
};

EventLoop::EventLoop(std::string name) : name_(std::move(name)), impl_(std::make_unique<Impl>()) {}

EventLoop::~EventLoop() { Stop(); }

absl::Time EventLoop::Now() const { return absl::Now(); }

boost::asio::io_context& EventLoop::io() { return impl_->io; }

void EventLoop::Post(Task task) {
  // asio copies nothing here, but its handlers have to be copyable in name.
  boost::asio::post(impl_->io, [task = std::move(task)]() mutable { task(); });
}

Scheduler::TimerId EventLoop::After(absl::Duration delay, Task task) {
  const TimerId id = ++impl_->last_timer;
  auto timer = std::make_unique<boost::asio::steady_timer>(impl_->io, absl::ToChronoNanoseconds(delay));
  timer->async_wait([this, id, task = std::move(task)](const boost::system::error_code&) mutable {
    // A timer that expired in the same batch as its Cancel is not in the map.
    if (impl_->timers.erase(id) > 0) task();
  });
  impl_->timers.emplace(id, std::move(timer));
  return id;
}

void EventLoop::Cancel(TimerId id) { impl_->timers.erase(id); }

void EventLoop::AddPoller(Poller poller) { pollers_.push_back(std::move(poller)); }

void EventLoop::Start() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), name_.substr(0, 15).c_str());
    impl_->thread_id = std::this_thread::get_id();
    Run();
  });
}

void EventLoop::Stop() {
  impl_->stopping = true;
  impl_->io.stop();
  if (thread_.joinable()) thread_.join();
}

bool EventLoop::OnLoop() const { return impl_->thread_id.load() == std::this_thread::get_id(); }

bool EventLoop::Poll() {
  bool worked = false;
  for (Poller& poller : pollers_) worked |= poller();
  return worked;
}

void EventLoop::Run() {
  boost::asio::io_context& io = impl_->io;
  if (pollers_.empty()) {
    io.run();
    return;
  }
  while (!impl_->stopping) {
    io.run_one_for(kTick);
    io.poll();  // the rest of the batch
    while (Poll() && !impl_->stopping) {
    }
  }
}

}  // namespace unmcp
