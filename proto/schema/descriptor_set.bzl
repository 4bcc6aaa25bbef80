"""descriptor_set: a proto_library's files as one FileDescriptorSet, comments included.

Linked descriptors have no comments, and Bazel's own descriptor sets only with a
flag that would apply to the whole build.
"""

load("@rules_proto//proto:defs.bzl", "ProtoInfo")

def _descriptor_set_impl(ctx):
    info = ctx.attr.proto[ProtoInfo]
    out = ctx.actions.declare_file(ctx.label.name + ".binpb")
    args = ctx.actions.args()
    args.add("--include_imports")
    args.add("--include_source_info")
    args.add(out, format = "--descriptor_set_out=%s")
    args.add_all(info.transitive_proto_path, format_each = "-I%s")
    args.add_all(info.direct_sources)
    ctx.actions.run(
        executable = ctx.file._protoc,
        arguments = [args],
        inputs = info.transitive_sources,
        outputs = [out],
        mnemonic = "ProtoDescriptorSet",
        progress_message = "Describing %s" % ctx.attr.proto.label,
    )
    return [DefaultInfo(files = depset([out]), runfiles = ctx.runfiles([out]))]

descriptor_set = rule(
    implementation = _descriptor_set_impl,
    attrs = {
        "proto": attr.label(mandatory = True, providers = [ProtoInfo]),
        "_protoc": attr.label(default = "@com_google_protobuf//:bin/protoc", allow_single_file = True, cfg = "exec"),
    },
)
