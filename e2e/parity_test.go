package e2e

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/internal/rest"
	"github.com/tasuki-project/tasuki/e2e/scenario"
	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
)

// door is one way to call CaptureLead, GetLead, ListLeads and QualifyLead. The error is a gRPC status with details.
type door func(ctx context.Context, token string, c call) (proto.Message, error)

// call is the same call for every door.
type call struct {
	method     string // of LeadService
	http, path string
	request    proto.Message
	body       bool
	answer     func() proto.Message
	key        string
}

// TestSameAnswersAtEveryDoor compares REST, Connect JSON, gRPC-Web, gRPC through the gateway, and gRPC to the service
// itself.
func TestSameAnswersAtEveryDoor(t *testing.T) {
	h := house.Split(t)
	r := scenario.NewRelay(t, h)
	var lead marketingv1.Lead
	r.Marketing.Must(t, http.MethodPost, "/v1/leads", r.CaptureRequest("parity", "whitepaper_download"), &lead)
	for range 3 {
		r.Marketing.Must(t, http.MethodPost, "/v1/leads", r.CaptureRequest("p"+uuid.NewString()[:8], "whitepaper_download"), &marketingv1.Lead{})
	}
	doors := map[string]door{
		"REST":           restDoor(h),
		"Connect JSON":   connectDoor(h.URL+"/marketing", connect.WithProtoJSON()),
		"Connect":        connectDoor(h.URL + "/marketing"),
		"gRPC-Web":       connectDoor(h.URL+"/marketing", connect.WithGRPCWeb()),
		"gRPC (gateway)": grpcDoor(t, strings.TrimPrefix(h.URL, "http://")),
		"gRPC (service)": grpcDoor(t, h.GRPC["marketing"]),
	}
	newLead := func() proto.Message { return &marketingv1.Lead{} }
	newList := func() proto.Message { return &marketingv1.ListLeadsResponse{} }
	repeated := r.CaptureRequest("same", "whitepaper_download")
	id := lead.GetId()
	for name, c := range map[string]struct {
		call
		token string
	}{
		"get":                {call{"GetLead", "GET", "/v1/leads/" + id, &marketingv1.GetLeadRequest{Id: id}, false, newLead, ""}, r.Marketing.Token},
		"list":               {call{"ListLeads", "GET", "/v1/leads?pageSize=2", &marketingv1.ListLeadsRequest{PageSize: 2}, false, newList, ""}, r.Marketing.Token},
		"command with a key": {call{"CaptureLead", "POST", "/v1/leads", repeated, true, newLead, "parity-" + r.Sequence}, r.Marketing.Token},
		"not found":          {call{"GetLead", "GET", "/v1/leads/00000000-0000-7000-8000-000000000000", &marketingv1.GetLeadRequest{Id: "00000000-0000-7000-8000-000000000000"}, false, newLead, ""}, r.Marketing.Token},
		"invalid field":      {call{"GetLead", "GET", "/v1/leads/42", &marketingv1.GetLeadRequest{Id: "42"}, false, newLead, ""}, r.Marketing.Token},
		"invalid fields":     {call{"CaptureLead", "POST", "/v1/leads", &marketingv1.CaptureLeadRequest{Person: r.CaptureRequest("x", "y").GetPerson(), SubmissionId: strings.Repeat("x", 300)}, true, newLead, ""}, r.Marketing.Token},
		"bad page token":     {call{"ListLeads", "GET", "/v1/leads?pageToken=xyz", &marketingv1.ListLeadsRequest{PageToken: "xyz"}, false, newList, ""}, r.Marketing.Token},
		"no token":           {call{"GetLead", "GET", "/v1/leads/" + id, &marketingv1.GetLeadRequest{Id: id}, false, newLead, ""}, ""},
		"forged token":       {call{"GetLead", "GET", "/v1/leads/" + id, &marketingv1.GetLeadRequest{Id: id}, false, newLead, ""}, r.Marketing.Token + "x"},
		"missing role":       {call{"QualifyLead", "POST", "/v1/leads/" + id + ":qualify", &marketingv1.QualifyLeadRequest{Id: id}, true, newLead, ""}, r.Viewer.Token},
		"illegal transition": {call{"OverturnExclusion", "POST", "/v1/leads/" + id + ":include", &marketingv1.OverturnExclusionRequest{Id: id, Note: "x"}, true, newLead, ""}, r.Marketing.Token},
		"many":               {call{"BatchQualifyLeads", "POST", "/v1/leads:batchQualify", &marketingv1.BatchQualifyLeadsRequest{Requests: []*marketingv1.QualifyLeadRequest{{Id: id, Etag: "999"}, {Id: "00000000-0000-7000-8000-000000000000"}}}, true, func() proto.Message { return &marketingv1.BatchQualifyLeadsResponse{} }, ""}, r.Marketing.Token},
		"stale etag":         {call{"QualifyLead", "POST", "/v1/leads/" + id + ":qualify", &marketingv1.QualifyLeadRequest{Id: id, Etag: "999"}, true, newLead, ""}, r.Marketing.Token},
	} {
		t.Run(name, func(t *testing.T) {
			want, wantErr := doors["gRPC (service)"](t.Context(), c.token, c.call)
			for doorName, d := range doors {
				got, err := d(t.Context(), c.token, c.call)
				if diff := cmp.Diff(onTheWire(wantErr), onTheWire(err), protocmp.Transform()); diff != "" {
					t.Errorf("%s: error differs from gRPC (-gRPC +%s):\n%s", doorName, doorName, diff)
					continue
				}
				if wantErr != nil {
					continue
				}
				if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
					t.Errorf("%s: answer differs from gRPC (-gRPC +%s):\n%s", doorName, doorName, diff)
				}
			}
		})
	}
}

// onTheWire is an error as it travels: code, message and details.
func onTheWire(err error) proto.Message {
	if err == nil {
		return nil
	}
	return status.Convert(err).Proto()
}

func restDoor(h *house.House) door {
	return func(ctx context.Context, token string, c call) (proto.Message, error) {
		client := rest.Client{URL: h.URL + "/marketing", Token: token}
		var in proto.Message
		if c.body {
			in = c.request
		}
		var headers []rest.Header
		if c.key != "" {
			headers = append(headers, rest.Header{Name: "Idempotency-Key", Value: c.key})
		}
		out := c.answer()
		return out, client.Call(ctx, c.http, c.path, in, out, headers...)
	}
}

const service = "/tasuki.marketing.v1.LeadService/"

func connectDoor(base string, opts ...connect.ClientOption) door {
	return func(ctx context.Context, token string, c call) (proto.Message, error) {
		switch in := c.request.(type) {
		case *marketingv1.ListLeadsRequest:
			return connectCall[marketingv1.ListLeadsRequest, marketingv1.ListLeadsResponse](ctx, base, token, c, in, opts)
		case *marketingv1.GetLeadRequest:
			return connectCall[marketingv1.GetLeadRequest, marketingv1.Lead](ctx, base, token, c, in, opts)
		case *marketingv1.CaptureLeadRequest:
			return connectCall[marketingv1.CaptureLeadRequest, marketingv1.Lead](ctx, base, token, c, in, opts)
		case *marketingv1.QualifyLeadRequest:
			return connectCall[marketingv1.QualifyLeadRequest, marketingv1.Lead](ctx, base, token, c, in, opts)
		case *marketingv1.BatchQualifyLeadsRequest:
			return connectCall[marketingv1.BatchQualifyLeadsRequest, marketingv1.BatchQualifyLeadsResponse](ctx, base, token, c, in, opts)
		case *marketingv1.OverturnExclusionRequest:
			return connectCall[marketingv1.OverturnExclusionRequest, marketingv1.Lead](ctx, base, token, c, in, opts)
		}
		return nil, errors.New("the test has no client for this request")
	}
}

func connectCall[Req, Resp any, P interface {
	*Resp
	proto.Message
}](ctx context.Context, base, token string, c call, in *Req, opts []connect.ClientOption,
) (proto.Message, error) {
	client := connect.NewClient[Req, Resp](http.DefaultClient, base+service+c.method, opts...)
	req := connect.NewRequest(in)
	if token != "" {
		req.Header().Set("Authorization", "Bearer "+token)
	}
	if c.key != "" {
		req.Header().Set("Idempotency-Key", c.key)
	}
	resp, err := client.CallUnary(ctx, req)
	if err != nil {
		return nil, grpcStatus(err)
	}
	return P(resp.Msg), nil
}

// grpcStatus turns a Connect error into the gRPC status that it stands for.
func grpcStatus(err error) error {
	var ce *connect.Error
	if !errors.As(err, &ce) {
		return err
	}
	st := status.New(codes.Code(ce.Code()), ce.Message()).Proto()
	for _, d := range ce.Details() {
		m, err := d.Value()
		if err != nil {
			return err
		}
		with, err := status.FromProto(st).WithDetails(protoadapt.MessageV1Of(m))
		if err != nil {
			return err
		}
		st = with.Proto()
	}
	return status.ErrorProto(st)
}

func grpcDoor(t *testing.T, address string) door {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // the test is over
	return func(ctx context.Context, token string, c call) (proto.Message, error) {
		if token != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
		}
		if c.key != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "idempotency-key", c.key)
		}
		out := c.answer()
		return out, conn.Invoke(ctx, service+c.method, c.request, out)
	}
}
