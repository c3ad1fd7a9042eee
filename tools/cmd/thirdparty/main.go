// Command thirdparty prints the .proto files that Tasuki's contracts import, from the descriptors inside the Go modules
// that tools/go.mod pins. So a fresh machine needs no registry but the Go module proxy, and the text can never disagree
// with the Go code that generated files link against.
//
//	go -C tools run ./cmd/thirdparty -out ../proto/third_party
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	openapi "github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-openapiv3/options"
	"github.com/jhump/protoreflect/v2/protoprint"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/genproto/googleapis/type/date"
	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// roots are the files that contracts may import. What they import themselves is printed too.
var roots = []protoreflect.FileDescriptor{
	validate.File_buf_validate_validate_proto,
	annotations.File_google_api_annotations_proto,
	annotations.File_google_api_field_behavior_proto,
	httpbody.File_google_api_httpbody_proto,
	code.File_google_rpc_code_proto,
	errdetails.File_google_rpc_error_details_proto,
	status.File_google_rpc_status_proto,
	date.File_google_type_date_proto,
	money.File_google_type_money_proto,
	openapi.File_protoc_gen_openapiv3_options_annotations_proto,
}

func main() {
	out := flag.String("out", "", "folder to print into; its former content is removed")
	flag.Parse()
	if *out == "" {
		fmt.Fprintln(os.Stderr, "thirdparty: -out is missing")
		os.Exit(2)
	}
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "thirdparty:", err)
		os.Exit(1)
	}
}

func run(out string) error {
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	files := map[string]protoreflect.FileDescriptor{}
	for _, f := range roots {
		collect(f, files)
	}
	printer := protoprint.Printer{SortElements: true}
	for path, file := range files {
		text, err := printer.PrintProtoToString(file)
		if err != nil {
			return fmt.Errorf("print %s: %w", path, err)
		}
		target := filepath.Join(out, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(target, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// collect adds the file and its imports, but for google/protobuf, which buf brings itself.
func collect(file protoreflect.FileDescriptor, into map[string]protoreflect.FileDescriptor) {
	if strings.HasPrefix(file.Path(), "google/protobuf/") || into[file.Path()] != nil {
		return
	}
	into[file.Path()] = file
	imports := file.Imports()
	for i := range imports.Len() {
		collect(imports.Get(i).FileDescriptor, into)
	}
}
