#include "cli/import/placeholders.h"

#include <fcntl.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <map>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace unmcp {
namespace {

using Json = nlohmann::json;

std::optional<std::string> Environment(const std::string& name) {
  if (name == "USER_TOKEN") return "t-1";
  if (name == "EMPTY") return "";
  return std::nullopt;
}

absl::StatusOr<Expanded> ExpandText(absl::string_view text, const std::map<std::string, Input>& inputs = {},
                                    InputValues* values = nullptr) {
  InputValues none({});
  return Expand(text, {.environment = Environment,
                       .inputs = &inputs,
                       .values = values == nullptr ? &none : values,
                       .workspace_folder = "/home/u/project",
                       .home = "/home/u"});
}
std::string TextOf(absl::string_view text) {
  const auto expanded = ExpandText(text);
  return expanded.ok() ? expanded->text : absl::StrCat("error: ", expanded.status().message());
}

TEST(PlaceholdersTest, EveryFormIsReplaced) {
  EXPECT_EQ(TextOf("Bearer ${env:USER_TOKEN}!"), "Bearer t-1!");
  EXPECT_EQ(TextOf("${USER_TOKEN}${USER_TOKEN}"), "t-1t-1");
  EXPECT_EQ(TextOf("${NOBODY:-other}|${EMPTY:-default}|${EMPTY}|${USER_TOKEN:-x}"), "other|default||t-1");
  EXPECT_EQ(TextOf("${workspaceFolder}/a ${workspaceFolderBasename} ${userHome}${/}b${pathSeparator}"),
            "/home/u/project/a project /home/u/b/");
  EXPECT_EQ(TextOf("no $placeholder, nor an open ${one"), "no $placeholder, nor an open ${one");
}

TEST(PlaceholdersTest, WhatIsNotSetOrNotKnownIsNamed) {
  EXPECT_TRUE(absl::StrContains(TextOf("${env:NOBODY}"), "environment variable NOBODY is not set"));
  EXPECT_TRUE(absl::StrContains(TextOf("${NOBODY}"), "NOBODY"));
  EXPECT_TRUE(absl::StrContains(TextOf("${command:pick.file}"), "${command:pick.file}: is not known"));
  EXPECT_TRUE(absl::StrContains(TextOf("${input:token}"), "`inputs` have no \"token\""));
}

TEST(PlaceholdersTest, WhatIsInsertedIsNotLookedAtAgain) {
  const std::map<std::string, Input> inputs = {{"x", {.id = "x"}}};
  InputValues values({.given = {{"x", "${env:USER_TOKEN}"}}});
  EXPECT_EQ(ExpandText("<${input:x}>", inputs, &values)->text, "<${env:USER_TOKEN}>");
}

TEST(PlaceholdersTest, PasswordsMakeSecrets) {
  const std::map<std::string, Input> inputs = {{"key", {.id = "key", .password = true}}, {"name", {.id = "name"}}};
  InputValues values({.given = {{"key", "k"}, {"name", "n"}}});
  EXPECT_TRUE(ExpandText("Bearer ${input:key}", inputs, &values)->secret);
  EXPECT_FALSE(ExpandText("${input:name}", inputs, &values)->secret);
}

TEST(InputValuesTest, GivenThenEnvironmentThenAskedOnce) {
  int asked = 0;
  InputValues values({.given = {{"a", "1"}},
                      .environment =
                          [](const std::string& name) -> std::optional<std::string> {
                            if (name == "UNMCP_INPUT_B_C") return "2";
                            return std::nullopt;
                          },
                      .ask =
                          [&](const Input&) {
                            ++asked;
                            return std::string("3");
                          }});
  EXPECT_EQ(*values.Get({.id = "a"}), "1");
  EXPECT_EQ(*values.Get({.id = "b-c"}), "2");
  EXPECT_EQ(*values.Get({.id = "d"}), "3");
  EXPECT_EQ(*values.Get({.id = "d"}), "3");
  EXPECT_EQ(asked, 1);
}

TEST(InputValuesTest, WithoutATerminalTheErrorSaysHowToGiveIt) {
  InputValues values({});
  const auto value = values.Get({.id = "api-key", .description = "The key"});
  EXPECT_EQ(value.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(value.status().message(), "--input api-key=VALUE")) << value.status();
  EXPECT_TRUE(absl::StrContains(value.status().message(), "UNMCP_INPUT_API_KEY=VALUE")) << value.status();
}

TEST(InputValuesTest, APickHasToBeOneOfTheOptions) {
  InputValues values({.given = {{"size", "huge"}}});
  const auto value = values.Get({.id = "size", .options = {"small", "large"}});
  EXPECT_TRUE(absl::StrContains(value.status().message(), "must be one of small, large")) << value.status();
}

// A terminal whose user types after the question has been asked.
class FakeTerminal {
 public:
  FakeTerminal() : user_(posix_openpt(O_RDWR | O_NOCTTY)) {
    grantpt(user_);
    unlockpt(user_);
    fd_ = open(ptsname(user_), O_RDWR | O_NOCTTY);
  }
  ~FakeTerminal() {
    close(fd_);
    close(user_);
  }
  absl::StatusOr<std::string> Ask(const Input& input, const std::string& typed) {
    std::thread user([&] {
      std::string seen;
      char c;
      while (!absl::EndsWith(seen, ": ") && read(user_, &c, 1) == 1) seen += c;
      EXPECT_EQ(write(user_, typed.data(), typed.size()), static_cast<ssize_t>(typed.size()));
    });
    auto answer = AskOnTerminal(fd_, input);
    user.join();
    return answer;
  }
  bool IsAsBefore() const {
    termios now{};
    tcgetattr(fd_, &now);
    return (now.c_lflag & ECHO) != 0 && (now.c_lflag & ISIG) != 0;
  }

 private:
  const int user_;
  int fd_ = -1;
};

TEST(AskOnTerminalTest, TakesALine) {
  FakeTerminal terminal;
  EXPECT_EQ(*terminal.Ask({.id = "key", .password = true}, "k-1\n"), "k-1");
  EXPECT_EQ(*terminal.Ask({.id = "size", .options = {"small", "large"}}, "2\n"), "large");
  EXPECT_EQ(*terminal.Ask({.id = "name", .default_value = "me"}, "\n"), "me");
  EXPECT_TRUE(terminal.IsAsBefore());
}

TEST(AskOnTerminalTest, CtrlCEndsTheQuestionAndLeavesTheTerminalAsItWas) {
  for (const bool password : {true, false}) {
    FakeTerminal terminal;
    const auto answer = terminal.Ask({.id = "key", .password = password}, "half\x03");
    EXPECT_EQ(answer.status().code(), absl::StatusCode::kCancelled) << answer.status();
    EXPECT_TRUE(terminal.IsAsBefore());
  }
}

TEST(ReadInputsTest, ReadsPromptsAndPicks) {
  const auto inputs = ReadInputs(Json::parse(
      R"([{"id":"key","type":"promptString","description":"API key","password":true},
          {"id":"size","type":"pickString","options":["s",{"label":"Large","value":"l"}],"default":"s"}])"));
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  EXPECT_TRUE(inputs->at("key").password);
  EXPECT_EQ(inputs->at("size").options, (std::vector<std::string>{"s", "l"}));
  EXPECT_EQ(inputs->at("size").default_value, "s");
}

TEST(ReadInputsTest, SaysWhatIsWrong) {
  const auto error = [](const char* text) { return std::string(ReadInputs(Json::parse(text)).status().message()); };
  EXPECT_EQ(error("{}"), "inputs: must be a list");
  EXPECT_EQ(error("[{}]"), "inputs[0].id: is required");
  EXPECT_TRUE(absl::StrContains(error(R"([{"id":"a","type":"command"}])"), "inputs[0].type: is \"command\""));
  EXPECT_TRUE(absl::StrContains(
      error(R"([{"id":"a","type":"promptString"},{"id":"a","type":"promptString"}])"), "is there twice"));
  EXPECT_TRUE(absl::StrContains(error(R"([{"id":"a","type":"pickString"}])"), "inputs[0].options"));
}

}  // namespace
}  // namespace unmcp
