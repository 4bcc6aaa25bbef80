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
                        {"PATH=/bin", "HOME=/root", "HOMEPAGE=x"}, {}, &process, &why));
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
                        {"HOST=inherited"}, {}, &process, &why));
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
                        {}, {}, &process, &why));
  EXPECT_EQ(process.env, (Words{"A=web-1", "B=default", "C=u-1", "D=127.0.0.1", "E=web", "F="}));
  EXPECT_FALSE(ProcessOf(Pod({{"command", {"x"}}, {"env", {field("A", "spec.secret")}}}), {}, {}, &process, &why));
  EXPECT_EQ(why.message, "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: 'spec.secret' is not a field that a "
                         "container can have");
}

TEST(ProcessOf, WhatOnlyAClusterHas) {
  bridge::ProcessSpec process;
  NotRunnable why;
  EXPECT_FALSE(ProcessOf(Pod({{"image", "mcp/time"}, {"args", {"x"}}}), {}, {}, &process, &why));
  EXPECT_EQ(why.reason, "ImageNotRunnable");
  EXPECT_EQ(why.message, "spec.image: 'mcp/time' needs a container runtime, and there is none without a cluster; give "
                         "spec.command, the program to run on this machine, or use a cluster");

  const Json resource = {{"name", "CPU"}, {"valueFrom", {{"resourceFieldRef", {{"resource", "limits.cpu"}}}}}};
  EXPECT_FALSE(ProcessOf(Pod({{"command", {"x"}}, {"env", {resource}}}), {}, {}, &process, &why));
  EXPECT_EQ(why.reason, "CreateContainerConfigError");
  EXPECT_EQ(why.message.substr(0, why.message.find(':')), "spec.containers[0].env[0].valueFrom");
  EXPECT_FALSE(why.may_change);
}

class ConfigValues : public testing::Test {
 protected:
  ConfigValues() {
    Object secret(SecretKind(), "default", "keys");
    secret.json()["data"] = {{"token", "aHVudGVyMg=="}, {"empty", ""}};
    config_[{"Secret", "keys"}] = secret;
    Object map(ConfigMapKind(), "default", "settings");
    map.json()["data"] = {{"mode", "fast"}, {"level", "$(MODE)"}};
    config_[{"ConfigMap", "settings"}] = map;
  }
  static Json From(const char* name, const char* ref, const char* object, const char* key, bool optional = false) {
    return {{"name", name}, {"valueFrom", {{ref, {{"name", object}, {"key", key}, {"optional", optional}}}}}};
  }
  bool Run(Json env, Json env_from = Json::array()) {
    return ProcessOf(Pod({{"command", {"x"}}, {"args", {"--url=$(URL)"}}, {"env", env}, {"envFrom", env_from}}), {},
                     config_, &process_, &why_);
  }

  ConfigObjects config_;
  bridge::ProcessSpec process_;
  NotRunnable why_;
};

TEST_F(ConfigValues, SecretsAndConfigMapsReachTheProcess) {
  ASSERT_TRUE(Run({From("TOKEN", "secretKeyRef", "keys", "token"), From("EMPTY", "secretKeyRef", "keys", "empty"),
                   From("MODE", "configMapKeyRef", "settings", "mode"),
                   From("LEVEL", "configMapKeyRef", "settings", "level"),
                   Json{{"name", "URL"}, {"value", "http://$(TOKEN)@host"}}}))
      << why_.message;
  // What comes from an object is not expanded itself.
  EXPECT_EQ(process_.env, (Words{"EMPTY=", "LEVEL=$(MODE)", "MODE=fast", "TOKEN=hunter2", "URL=http://hunter2@host"}));
  EXPECT_EQ(process_.argv, (Words{"x", "--url=http://hunter2@host"}));
}

TEST_F(ConfigValues, WholeObjectsBecomeVariables) {
  ASSERT_TRUE(Run({Json{{"name", "S_mode"}, {"value", "own"}}},
                  {Json{{"prefix", "S_"}, {"configMapRef", {{"name", "settings"}}}},
                   Json{{"secretRef", {{"name", "keys"}}}},
                   Json{{"secretRef", {{"name", "none"}, {"optional", true}}}}}))
      << why_.message;
  EXPECT_EQ(process_.env, (Words{"S_level=$(MODE)", "S_mode=own", "empty=", "token=hunter2"}));
}

TEST_F(ConfigValues, WhatIsMissingIsNamedAndMayComeYet) {
  EXPECT_FALSE(Run({From("TOKEN", "secretKeyRef", "others", "token")}));
  EXPECT_EQ(why_.reason, "CreateContainerConfigError");
  EXPECT_EQ(why_.message, "spec.containers[0].env[0] (TOKEN): there is no Secret default/others; create it with key "
                          "'token', and the container starts");
  EXPECT_TRUE(why_.may_change);
  EXPECT_FALSE(Run({From("MODE", "configMapKeyRef", "settings", "speed")}));
  EXPECT_EQ(why_.message, "spec.containers[0].env[0] (MODE): ConfigMap default/settings has no key 'speed'; add it, "
                          "and the container starts");
  EXPECT_TRUE(why_.may_change);
  EXPECT_TRUE(Run({From("A", "secretKeyRef", "others", "token", true), From("B", "secretKeyRef", "keys", "x", true)}));
  EXPECT_EQ(process_.env, Words{});
}

TEST_F(ConfigValues, TheObjectsThatHaveToBeRead) {
  std::vector<std::string> names;
  for (const ObjectRef& ref : ConfigRefsOf(
           Pod({{"env", {From("A", "secretKeyRef", "keys", "a"), From("B", "secretKeyRef", "keys", "b"),
                         Json{{"name", "C"}, {"value", "c"}}, From("D", "configMapKeyRef", "keys", "b")}},
                {"envFrom", {Json{{"configMapRef", {{"name", "all"}}}}}}}))) {
    names.push_back(ref.kind.kind + " " + ref.ns + "/" + ref.name);
  }
  EXPECT_EQ(names, (Words{"ConfigMap default/all", "ConfigMap default/keys", "Secret default/keys"}));
}

}  // namespace
}  // namespace unmcp::kube
