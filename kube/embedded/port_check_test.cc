#include "kube/embedded/port_check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bridge/fd.h"
#include "gtest/gtest.h"

namespace unmcp::kube {
namespace {

// Listens at an address of the machine's choice, and says which port that is.
bridge::Fd Listen(in_addr_t address, int* port) {
  bridge::Fd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in name = {};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(address);
  socklen_t size = sizeof(name);
  EXPECT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&name), size), 0);
  EXPECT_EQ(listen(listener.get(), 1), 0);
  EXPECT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&name), &size), 0);
  *port = ntohs(name.sin_port);
  return listener;
}

TEST(PortHolder, NamesTheProcessThatListens) {
  for (const in_addr_t address : {INADDR_LOOPBACK, INADDR_ANY}) {
    int port = 0;
    bridge::Fd listener = Listen(address, &port);
    const auto holder = PortHolder(port);
    ASSERT_TRUE(holder.has_value());
    EXPECT_TRUE(absl::StartsWith(*holder, absl::StrCat("process ", getpid(), " ("))) << *holder;
    listener = bridge::Fd();
    EXPECT_FALSE(PortHolder(port));
  }
}

TEST(ContainerPorts, AreThoseOfTcp) {
  EXPECT_EQ(ContainerPorts(R"({"ports": [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"},
                               {"containerPort": 8080, "protocol": "TCP"}, {"containerPort": 70000}, {"name": "x"}]})"_json),
            (std::vector<int>{80, 8080}));
  EXPECT_TRUE(ContainerPorts(Json::object()).empty());
}

}  // namespace
}  // namespace unmcp::kube
