#include "kube/embedded/port_check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "bridge/fd.h"

namespace unmcp::kube {
namespace {

namespace fs = std::filesystem;

// Of connections in /proc/net/tcp: the state of a socket that listens.
constexpr unsigned kListening = 0x0A;

// "socket:[123]" for each socket that listens on the port.
std::set<std::string> Listeners(int port) {
  std::set<std::string> links;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream file(table);
    for (std::string line; std::getline(file, line);) {
      unsigned local_port = 0, state = 0;
      unsigned long inode = 0;
      // "0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 uid timeout inode …"
      if (std::sscanf(line.c_str(), " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*u %*u %lu", &local_port,
                      &state, &inode) == 3 &&
          local_port == static_cast<unsigned>(port) && state == kListening) {
        links.insert(absl::StrCat("socket:[", inode, "]"));
      }
    }
  }
  return links;
}

// "process 4711 (node)", or nothing when it is another user's.
std::string ProcessWith(const std::set<std::string>& links) {
  std::error_code error;
  for (fs::directory_iterator process("/proc", error), end; !error && process != end; process.increment(error)) {
    const int pid = std::atoi(process->path().filename().c_str());
    if (pid <= 0) continue;
    std::error_code ignored;
    for (fs::directory_iterator fd(process->path() / "fd", ignored); !ignored && fd != end; fd.increment(ignored)) {
      std::error_code unreadable;
      if (!links.contains(fs::read_symlink(fd->path(), unreadable))) continue;
      std::string name;
      std::getline(std::ifstream(process->path() / "comm"), name);
      return absl::StrCat("process ", pid, " (", name, ")");
    }
  }
  return "another process";
}

}  // namespace

std::vector<int> ContainerPorts(const Json& container) {
  std::vector<int> ports;
  auto list = container.find("ports");
  if (list == container.end() || !list->is_array()) return ports;
  for (const Json& port : *list) {
    if (!port.is_object() || port.value("protocol", Json("TCP")) != "TCP") continue;
    auto number = port.find("containerPort");
    if (number != port.end() && number->is_number_integer() && *number > 0 && *number <= 65535) {
      ports.push_back(number->get<int>());
    }
  }
  return ports;
}

std::optional<std::string> PortHolder(int port) {
  const bridge::Fd probe(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!probe) return std::nullopt;  // the program's own error will say more
  // Connections of a program before that linger are in nobody's way.
  const int on = 1;
  setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 || errno != EADDRINUSE) {
    return std::nullopt;
  }
  return ProcessWith(Listeners(port));
}

}  // namespace unmcp::kube
