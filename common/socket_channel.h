// gRPC channels to other processes of this machine.
#ifndef UNMCP_COMMON_SOCKET_CHANNEL_H_
#define UNMCP_COMMON_SOCKET_CHANNEL_H_

#include <memory>
#include <string>

#include "common/private_socket.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/support/channel_arguments.h"

namespace unmcp {

// Whoever listens there may have been started again: it is found within this.
inline constexpr int kFirstReconnectMs = 100;
inline constexpr int kMaxReconnectMs = 1000;

// To whoever listens on the Unix socket, now or later. Messages are as large
// as they are: the peer is a part of unmcp, which has bounded them where they
// came in.
inline std::shared_ptr<grpc::Channel> SocketChannel(const std::string& path, grpc::ChannelArguments arguments = {}) {
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstReconnectMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kFirstReconnectMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxReconnectMs);
  // Connections of its own, which end with it.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(UnixAddress(path), grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace unmcp

#endif  // UNMCP_COMMON_SOCKET_CHANNEL_H_
