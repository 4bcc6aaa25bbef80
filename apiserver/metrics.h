// The apiserver's own figures.
#ifndef UNMCP_APISERVER_METRICS_H_
#define UNMCP_APISERVER_METRICS_H_

#include "prometheus/counter.h"
#include "prometheus/registry.h"

namespace unmcp::apiserver {

// Owned by the registry. No label names a server or a session: their number
// has no bound.
struct Metrics {
  explicit Metrics(prometheus::Registry* registry)
      : exchanges(&Counter(registry, "unmcp_apiserver_exchanges_total", "Exchanges taken from gateways.")),
        wakes(&Counter(registry, "unmcp_apiserver_demands_total", "Times a client made a server be asked for.")),
        requests(&Counter(registry, "unmcp_requests_total",
                          "Messages from clients to servers since this apiserver was started.")) {}

  prometheus::Counter* const exchanges;
  prometheus::Counter* const wakes;
  prometheus::Counter* const requests;

 private:
  static prometheus::Counter& Counter(prometheus::Registry* registry, const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(*registry).Add({});
  }
};

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_METRICS_H_
