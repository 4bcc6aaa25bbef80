"""Debian's -dev packages under the repository names that Bazel projects use.

Every header lives in /usr/include, which is a built-in include directory of
the compiler, so a library target is only its linker flags. Nothing is fetched.
"""

def _lib(name, libs = [], deps = [], defines = []):
    return """cc_library(
    name = "%s",
    defines = %r,
    linkopts = %r,
    deps = %r,
    visibility = ["//visibility:public"],
)
""" % (name, defines, ["-l" + l for l in libs], deps)

def _system_repo_impl(rctx):
    for header in rctx.attr.headers:
        if not rctx.path("/usr/include/" + header).exists:
            fail("@%s: /usr/include/%s is missing; run: apt-get install %s" %
                 (rctx.name, header, rctx.attr.apt))
    for link, target in rctx.attr.symlinks.items():
        rctx.symlink(target, link)
    for package, content in rctx.attr.packages.items():
        rctx.file((package + "/" if package else "") + "BUILD.bazel", content)

_system_repo = repository_rule(
    implementation = _system_repo_impl,
    local = True,  # cheap: re-run when the server restarts, so an apt upgrade is seen
    attrs = {
        "apt": attr.string(mandatory = True),
        "headers": attr.string_list(),
        "packages": attr.string_dict(mandatory = True),
        "symlinks": attr.string_dict(),
    },
)

# Abseil: upstream's labels, all on one target that offers every shared library
# to the linker with --as-needed (so only the used ones become dependencies).
_ABSL = {
    "absl/algorithm": ["algorithm", "container"],
    "absl/base": ["base", "core_headers", "log_severity"],
    "absl/cleanup": ["cleanup"],
    "absl/container": ["btree", "fixed_array", "flat_hash_map", "flat_hash_set", "inlined_vector", "node_hash_map", "node_hash_set"],
    "absl/debugging": ["failure_signal_handler", "stacktrace", "symbolize"],
    "absl/flags": ["flag", "parse", "usage", "reflection"],
    "absl/functional": ["any_invocable", "bind_front", "function_ref"],
    "absl/hash": ["hash"],
    "absl/memory": ["memory"],
    "absl/numeric": ["bits", "int128"],
    "absl/random": ["random", "bit_gen_ref"],
    "absl/status": ["status", "statusor"],
    "absl/strings": ["strings", "str_format", "cord"],
    "absl/synchronization": ["synchronization"],
    "absl/time": ["time"],
    "absl/types": ["any", "optional", "span", "variant"],
    "absl/utility": ["utility"],
}

def _absl_repo_impl(rctx):
    libs = []
    for arch in ["x86_64-linux-gnu", "aarch64-linux-gnu"]:
        d = rctx.path("/usr/lib/" + arch)
        if d.exists:
            libs += [f.basename[3:-3] for f in d.readdir() if f.basename.startswith("libabsl_") and f.basename.endswith(".so")]
    if not libs:
        fail("Abseil is missing; run: apt-get install libabsl-dev")
    rctx.file("BUILD.bazel", """cc_library(
    name = "shared_libs",
    linkopts = ["-Wl,--push-state,--as-needed"] + %r + ["-Wl,--pop-state"],
    visibility = ["//visibility:public"],
)
""" % ["-l" + l for l in sorted(libs)])
    for package, targets in rctx.attr.targets.items():
        rctx.file(package + "/BUILD.bazel", "".join([_lib(t, deps = ["//:shared_libs"]) for t in targets]))

_absl_repo = repository_rule(
    implementation = _absl_repo_impl,
    local = True,
    attrs = {"targets": attr.string_list_dict(mandatory = True)},
)

# well-known types: proto_library name -> deps
_WKT = {
    "any": [],
    "api": ["source_context", "type"],
    "descriptor": [],
    "duration": [],
    "empty": [],
    "field_mask": [],
    "source_context": [],
    "struct": [],
    "timestamp": [],
    "type": ["any", "source_context"],
    "wrappers": [],
}

def _protobuf_build():
    out = """package(default_visibility = ["//visibility:public"])
load("@rules_proto//proto:defs.bzl", "proto_lang_toolchain", "proto_library")
exports_files(["bin/protoc"])
alias(name = "protoc", actual = "bin/protoc")
"""
    out += _lib("protobuf", ["protobuf", "pthread"])
    out += _lib("protobuf_lite", ["protobuf-lite", "pthread"])
    for name, deps in _WKT.items():
        out += """proto_library(
    name = "%s_proto",
    srcs = ["google/protobuf/%s.proto"],
    deps = %r,
)
""" % (name, name, [":%s_proto" % d for d in deps])
    out += """proto_lang_toolchain(
    name = "cc_toolchain",
    command_line = "--cpp_out=$(OUT)",
    runtime = ":protobuf",
    blacklisted_protos = %r,
)
""" % [":%s_proto" % n for n in _WKT]
    return out

# google/api and google/rpc protos: Debian carries them in a Go package.
_GOOGLEAPIS = "/usr/share/gocode/src/github.com/gogo/googleapis/"
_GOOGLEAPIS_PROTOS = {
    "api/annotations": [":http_proto", "@com_google_protobuf//:descriptor_proto"],
    "api/http": [],
    "rpc/code": [],
    "rpc/error_details": ["@com_google_protobuf//:duration_proto"],
    "rpc/status": ["@com_google_protobuf//:any_proto"],
}

def _googleapis_build():
    out = """load("@rules_cc//cc:defs.bzl", "cc_proto_library")
load("@rules_proto//proto:defs.bzl", "proto_library")
package(default_visibility = ["//visibility:public"])
"""
    for path, deps in _GOOGLEAPIS_PROTOS.items():
        name = path.split("/")[1]
        out += """proto_library(
    name = "%s_proto",
    srcs = ["google/%s.proto"],
    deps = %r,
)
cc_proto_library(
    name = "%s_cc_proto",
    deps = [":%s_proto"],
)
""" % (name, path, deps, name, name)
    return out

def _grpc_build():
    out = """load("@rules_cc//cc:defs.bzl", "cc_proto_library")
load("@rules_proto//proto:defs.bzl", "proto_library")
package(default_visibility = ["//visibility:public"])
exports_files(["bin/grpc_cpp_plugin"])
alias(name = "grpc_cpp_plugin", actual = "bin/grpc_cpp_plugin")
proto_library(
    name = "health_proto",
    srcs = ["grpc/health/v1/health.proto"],
)
cc_proto_library(
    name = "health_cc_proto",
    deps = [":health_proto"],
)
"""
    pb = ["@com_google_protobuf//:protobuf"]
    out += _lib("grpc", ["grpc", "gpr"])
    out += _lib("grpc++", ["grpc++", "grpc", "gpr"], pb + ["@com_google_absl//:shared_libs"])
    out += _lib("grpc++_reflection", ["grpc++_reflection"], [":grpc++"])
    out += _lib("grpcpp_channelz", ["grpcpp_channelz"], [":grpc++"])
    out += _lib("grpc++_error_details", ["grpc++_error_details"], [":grpc++"])
    return out

def _one(name, apt, headers, libs, deps = [], targets = None):
    body = ""
    for t, (l, d) in (targets or {name: (libs, deps)}).items():
        body += _lib(t, l, d)
    _system_repo(name = name, apt = apt, headers = headers, packages = {"": body})

def system_deps():
    """Defines every third-party repository of this workspace."""
    _absl_repo(name = "com_google_absl", targets = _ABSL)
    _system_repo(
        name = "com_google_protobuf",
        apt = "libprotobuf-dev protobuf-compiler",
        headers = ["google/protobuf/message.h"],
        packages = {"": _protobuf_build()},
        symlinks = dict(
            [("google/protobuf/%s.proto" % n, "/usr/include/google/protobuf/%s.proto" % n) for n in _WKT],
            **{"bin/protoc": "/usr/bin/protoc"}
        ),
    )
    _system_repo(
        name = "com_github_grpc_grpc",
        apt = "libgrpc++-dev protobuf-compiler-grpc grpc-proto",
        headers = ["grpcpp/grpcpp.h"],
        packages = {"": _grpc_build()},
        symlinks = {
            "bin/grpc_cpp_plugin": "/usr/bin/grpc_cpp_plugin",
            "grpc/health/v1/health.proto": "/usr/share/grpc-proto/grpc/health/v1/health.proto",
        },
    )
    _system_repo(
        name = "com_google_googleapis",
        apt = "golang-github-gogo-googleapis-dev",
        headers = [],
        packages = {"": _googleapis_build()},
        symlinks = dict([("google/%s.proto" % p, _GOOGLEAPIS + "google/%s.proto" % p) for p in _GOOGLEAPIS_PROTOS]),
    )
    _one("com_google_googletest", "libgtest-dev libgmock-dev", ["gtest/gtest.h", "gmock/gmock.h"], [], targets = {
        "gtest": (["gmock", "gtest", "pthread"], []),
        "gtest_main": (["gmock_main", "gmock", "gtest", "pthread"], []),
    })
    _one("com_github_google_benchmark", "libbenchmark-dev", ["benchmark/benchmark.h"], [], targets = {
        "benchmark": (["benchmark", "pthread"], []),
        "benchmark_main": (["benchmark_main", "benchmark", "pthread"], []),
    })
    _one("com_github_google_glog", "libgoogle-glog-dev", ["glog/logging.h"], [], targets = {
        "glog": (["glog", "gflags"], []),
    })
    _one("nlohmann_json", "nlohmann-json3-dev", ["nlohmann/json.hpp"], [], targets = {"json": ([], [])})
    _one("com_googlesource_code_re2", "libre2-dev", ["re2/re2.h"], [], targets = {"re2": (["re2", "pthread"], [])})
    _one("curl", "libcurl4-openssl-dev", ["x86_64-linux-gnu/curl/curl.h"], ["curl"])
    _one("openssl", "libssl-dev", ["openssl/ssl.h"], [], targets = {
        "ssl": (["ssl", "crypto"], []),
        "crypto": (["crypto"], []),
    })
    _one("boost", "libboost1.81-dev", ["boost/beast.hpp"], [], targets = {
        "asio": (["pthread"], []),
        "beast": (["pthread"], ["@openssl//:ssl"]),
    })
    _one("cli11", "libcli11-dev", ["CLI/CLI.hpp"], [])
    _one("sqlite3", "libsqlite3-dev", ["sqlite3.h"], ["sqlite3"])
    _one("yaml_cpp", "libyaml-cpp-dev", ["yaml-cpp/yaml.h"], ["yaml-cpp"])
    _one("prometheus_cpp", "prometheus-cpp-dev", ["prometheus/registry.h"], [], targets = {
        "core": (["prometheus-cpp-core"], []),
        "pull": (["prometheus-cpp-pull", "prometheus-cpp-core"], []),
    })
