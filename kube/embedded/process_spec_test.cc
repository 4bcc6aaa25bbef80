#include "kube/embedded/process_spec.h"

#include "gtest/gtest.h"

namespace unmcp::kube {
namespace {

using Words = std::vector<std::string>;

Object Pod(Json container) {
  Object pod(PodKind(), "default", "web-1");
  pod.json()["metadata"]["uid"] = "u-1";
  pod.json()["metadata"]["labels"] = {{"app.kubernetes.io/name", "web"}};
  pod.json()["spec"] = {{"containers", Json::array({std::move(container)})}};
  return pod;
}

TEST(ProcessOf, CommandArgsDirectoryAndEnvironment) {
  bridge::ProcessSpec process;
  NotRunnable why;
  ASSERT_TRUE(ProcessOf(Pod({{"command", {"npx", "-y"}},
                             {"args", {"server", "--root", "/data"}},
                             {"workingDir", "/srv"},
                             {"env", {{{"name", "HOME"}, {"value", "/srv"}}, {{"name", "EMPTY"}}}}}),
                        {"PATH=/bin", "HOME=/root", "HOMEPAGE=x"}, &process, &why));
  EXPECT_EQ(process.argv, (Words{"npx", "-y", "server", "--root", "/data"}));
  EXPECT_EQ(process.env, (Words{"PATH=/bin", "HOMEPAGE=x", "EMPTY=", "HOME=/srv"}));
  EXPECT_EQ(process.working_directory, "/srv");
}

// https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
TEST(ProcessOf, ReferencesToVariablesAsInKubernetes) {
  bridge::ProcessSpec process;
  NotRunnable why;
  ASSERT_TRUE(ProcessOf(Pod({{"command", {"serve", "$(URL)", "$$(URL)", "$(MISSING)", "$URL", "$(", "a$"}},
                             {"env",
                              {{{"name", "LATE_REF"}, {"value", "$(PORT)"}},
                               {{"name", "PORT"}, {"value", "80"}},
                               {{"name", "URL"}, {"value", "http://$(HOST):$(PORT)/"}}}}}),
                        {"HOST=inherited"}, &process, &why));
  // HOST is no variable of the container's own, so it is not known here.
  EXPECT_EQ(process.argv, (Words{"serve", "http://$(HOST):80/", "$(URL)", "$(MISSING)", "$URL", "$(", "a$"}));
  EXPECT_EQ(process.env, (Words{"HOST=inherited", "LATE_REF=$(PORT)", "PORT=80", "URL=http://$(HOST):80/"}));
}

TEST(ProcessOf, FieldsOfThePod) {
  auto field = [](const char* name, const char* path) {
    return Json{{"name", name}, {"valueFrom", {{"fieldRef", {{"fieldPath", path}}}}}};
  };
  bridge::ProcessSpec process;
  NotRunnable why;
  ASSERT_TRUE(ProcessOf(Pod({{"command", {"x"}},
                             {"env",
                              {field("A", "metadata.name"), field("B", "metadata.namespace"), field("C", "metadata.uid"),
                               field("D", "status.podIP"), field("E", "metadata.labels['app.kubernetes.io/name']"),
                               field("F", "metadata.annotations['none']")}}}),
                        {}, &process, &why));
  EXPECT_EQ(process.env, (Words{"A=web-1", "B=default", "C=u-1", "D=127.0.0.1", "E=web", "F="}));
  EXPECT_FALSE(ProcessOf(Pod({{"command", {"x"}}, {"env", {field("A", "spec.secret")}}}), {}, &process, &why));
  EXPECT_EQ(why.message, "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: 'spec.secret' is not a field that a "
                         "container can have");
}

TEST(ProcessOf, WhatOnlyAClusterHas) {
  bridge::ProcessSpec process;
  NotRunnable why;
  EXPECT_FALSE(ProcessOf(Pod({{"image", "mcp/time"}, {"args", {"x"}}}), {}, &process, &why));
  EXPECT_EQ(why.reason, "ImageNotRunnable");
  EXPECT_EQ(why.message, "spec.image: 'mcp/time' needs a container runtime, and there is none without a cluster; give "
                         "spec.command, the program to run on this machine, or use a cluster");

  const Json secret = {{"name", "KEY"}, {"valueFrom", {{"secretKeyRef", {{"name", "s"}, {"key", "k"}}}}}};
  EXPECT_FALSE(ProcessOf(Pod({{"command", {"x"}}, {"env", {secret}}}), {}, &process, &why));
  EXPECT_EQ(why.reason, "CreateContainerConfigError");
  EXPECT_EQ(why.message.substr(0, why.message.find(':')), "spec.containers[0].env[0].valueFrom");

  EXPECT_FALSE(ProcessOf(Pod({{"command", {"x"}}, {"envFrom", {Json::object()}}}), {}, &process, &why));
  EXPECT_EQ(why.reason, "CreateContainerConfigError");

  Object two = Pod({{"command", {"x"}}});
  two.json()["spec"]["containers"].push_back({{"command", {"y"}}});
  EXPECT_FALSE(ProcessOf(two, {}, &process, &why));
  EXPECT_EQ(why.reason, "CreateContainerConfigError");
}

}  // namespace
}  // namespace unmcp::kube
