package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudcontrol"
	"github.com/aws/aws-sdk-go-v2/service/cloudcontrol/types"
	"github.com/google/uuid"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// waitAtMost is how long a request may take.
const waitAtMost = 720 * time.Minute

// pause is between two looks at a request at first; the SDK's own is five seconds.
const pause = 200 * time.Millisecond

// kind is a type of resource: `Type` for Cloud Control, the name for Terraform.
type kind struct {
	Name       string
	Type       string               `json:"type"`
	Properties map[string]*property `json:"properties"`
	api        *cloudcontrol.Client
}

func (k *kind) whole() *property { return &property{Kind: anObject, Properties: k.Properties} }

func (k *kind) Metadata(_ context.Context, _ resource.MetadataRequest, response *resource.MetadataResponse) {
	response.TypeName = k.Name
}

func (k *kind) Schema(_ context.Context, _ resource.SchemaRequest, response *resource.SchemaResponse) {
	attributes := k.whole().attributes(true)
	attributes[idAttribute] = schema.StringAttribute{
		Computed:      true,
		PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
	}
	response.Schema = schema.Schema{Attributes: attributes}
}

func (k *kind) Configure(_ context.Context, request resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	if api, is := request.ProviderData.(*cloudcontrol.Client); is {
		k.api = api
	}
}

func (k *kind) Create(ctx context.Context, request resource.CreateRequest, response *resource.CreateResponse) {
	event, err := k.create(ctx, request.Plan.Raw)
	identifier := ""
	if event != nil {
		identifier = aws.ToString(event.Identifier)
	}
	if err == nil {
		response.State.Raw, err = k.state(ctx, request.Plan.Raw, identifier)
	} else if identifier != "" {
		response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root(idAttribute), identifier)...)
	}
	told(&response.Diagnostics, "CreateResource", err)
}

func (k *kind) create(ctx context.Context, plan tftypes.Value) (*types.ProgressEvent, error) {
	desired, err := k.model(plan)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(desired)
	if err != nil {
		return nil, err
	}
	made, err := k.api.CreateResource(ctx, &cloudcontrol.CreateResourceInput{
		TypeName: &k.Type, ClientToken: aws.String(uuid.NewString()), DesiredState: aws.String(string(text)),
	})
	if err != nil {
		return nil, err
	}
	return k.ended(ctx, made.ProgressEvent)
}

func (k *kind) Read(ctx context.Context, request resource.ReadRequest, response *resource.ReadResponse) {
	identifier, err := identifierOf(ctx, request.State)
	if err == nil {
		var found tftypes.Value
		found, err = k.actual(ctx, identifier)
		if err == nil {
			response.State.Raw, err = k.withWriteOnly(found, request.State.Raw, identifier)
		}
	}
	var gone *types.ResourceNotFoundException
	if errors.As(err, &gone) {
		response.State.RemoveResource(ctx)
		return
	}
	told(&response.Diagnostics, "GetResource", err)
}

func (k *kind) Update(ctx context.Context, request resource.UpdateRequest, response *resource.UpdateResponse) {
	identifier, err := identifierOf(ctx, request.State)
	if err == nil {
		err = k.update(ctx, identifier, request.State.Raw, request.Plan.Raw)
	}
	if err == nil {
		response.State.Raw, err = k.state(ctx, request.Plan.Raw, identifier)
	}
	told(&response.Diagnostics, "UpdateResource", err)
}

func (k *kind) update(ctx context.Context, identifier string, state, plan tftypes.Value) error {
	before, err := k.model(state)
	if err != nil {
		return err
	}
	after, err := k.model(plan)
	if err != nil {
		return err
	}
	for name, one := range k.Properties {
		if one.WriteOnly {
			delete(before, name) // so that it is sent each time
		}
	}
	text, err := json.Marshal(patch(before, after, ""))
	if err != nil {
		return err
	}
	made, err := k.api.UpdateResource(ctx, &cloudcontrol.UpdateResourceInput{
		TypeName: &k.Type, Identifier: &identifier,
		ClientToken: aws.String(uuid.NewString()), PatchDocument: aws.String(string(text)),
	})
	if err != nil {
		return err
	}
	_, err = k.ended(ctx, made.ProgressEvent)
	return err
}

func (k *kind) Delete(ctx context.Context, request resource.DeleteRequest, response *resource.DeleteResponse) {
	identifier, err := identifierOf(ctx, request.State)
	if err == nil {
		var made *cloudcontrol.DeleteResourceOutput
		made, err = k.api.DeleteResource(ctx, &cloudcontrol.DeleteResourceInput{
			TypeName: &k.Type, Identifier: &identifier, ClientToken: aws.String(uuid.NewString()),
		})
		if err == nil {
			_, err = k.ended(ctx, made.ProgressEvent)
		}
	}
	told(&response.Diagnostics, "DeleteResource", err)
}

func (k *kind) ImportState(
	ctx context.Context, request resource.ImportStateRequest, response *resource.ImportStateResponse,
) {
	resource.ImportStatePassthroughID(ctx, path.Root(idAttribute), request, response)
}

// ended waits with the SDK's own waiter, and answers the last event.
func (k *kind) ended(ctx context.Context, event *types.ProgressEvent) (*types.ProgressEvent, error) {
	last := event
	waiter := cloudcontrol.NewResourceRequestSuccessWaiter(k.api)
	asked := &cloudcontrol.GetResourceRequestStatusInput{RequestToken: event.RequestToken}
	err := waiter.Wait(ctx, asked, waitAtMost, func(options *cloudcontrol.ResourceRequestSuccessWaiterOptions) {
		options.MinDelay = pause
		options.Retryable = func(
			_ context.Context, _ *cloudcontrol.GetResourceRequestStatusInput,
			output *cloudcontrol.GetResourceRequestStatusOutput, err error,
		) (bool, error) {
			if err == nil {
				last = output.ProgressEvent
				return goesOn(last)
			}
			return true, nil
		}
	})
	return last, err
}

func goesOn(event *types.ProgressEvent) (bool, error) {
	gone := event.Operation == types.OperationDelete && event.ErrorCode == types.HandlerErrorCodeNotFound
	switch {
	case event.OperationStatus == types.OperationStatusSuccess, gone:
		return false, nil
	case event.OperationStatus == types.OperationStatusFailed:
		return false, fmt.Errorf("%s: %s", event.ErrorCode, aws.ToString(event.StatusMessage))
	case event.OperationStatus == types.OperationStatusCancelComplete:
		return false, errors.New("cancelled")
	}
	return true, nil
}

func (k *kind) model(value tftypes.Value) (map[string]any, error) {
	found, err := k.whole().model(value)
	if model, is := found.(map[string]any); is {
		return model, err
	}
	return map[string]any{}, err
}

func (k *kind) actual(ctx context.Context, identifier string) (tftypes.Value, error) {
	found, err := k.api.GetResource(ctx, &cloudcontrol.GetResourceInput{TypeName: &k.Type, Identifier: &identifier})
	if err != nil {
		return tftypes.Value{}, err
	}
	var model any
	if err := json.Unmarshal([]byte(aws.ToString(found.ResourceDescription.Properties)), &model); err != nil {
		return tftypes.Value{}, err
	}
	return k.whole().value(model)
}

// state is the planned state with what was unknown in it as it turned out.
func (k *kind) state(ctx context.Context, plan tftypes.Value, identifier string) (tftypes.Value, error) {
	found, err := k.actual(ctx, identifier)
	if err != nil {
		return plan, err
	}
	known, err := k.whole().known(withoutID(plan), found)
	if err != nil {
		return plan, err
	}
	return withID(known, identifier), nil
}

// withWriteOnly is what was found, with what can only be known from what was there before.
func (k *kind) withWriteOnly(found, before tftypes.Value, identifier string) (tftypes.Value, error) {
	members, old := membersOf(found), membersOf(before)
	for _, one := range k.Properties {
		if one.WriteOnly {
			members[one.Attribute] = old[one.Attribute]
		}
	}
	return withID(tftypes.NewValue(found.Type(), members), identifier), nil
}

func identifierOf(ctx context.Context, state tfsdk.State) (string, error) {
	var found string
	if problems := state.GetAttribute(ctx, path.Root(idAttribute), &found); problems.HasError() {
		return "", errors.New("the state has no identifier")
	}
	return found, nil
}

func membersOf(value tftypes.Value) map[string]tftypes.Value {
	var members map[string]tftypes.Value
	if value.IsNull() || value.As(&members) != nil {
		return map[string]tftypes.Value{}
	}
	return maps.Clone(members) // what As gives is the value's own
}

func withoutID(value tftypes.Value) tftypes.Value {
	members := membersOf(value)
	delete(members, idAttribute)
	return object(members)
}

func withID(value tftypes.Value, identifier string) tftypes.Value {
	members := membersOf(value)
	members[idAttribute] = tftypes.NewValue(tftypes.String, identifier)
	return object(members)
}

func object(members map[string]tftypes.Value) tftypes.Value {
	kinds := map[string]tftypes.Type{}
	for name, one := range members {
		kinds[name] = one.Type()
	}
	return tftypes.NewValue(tftypes.Object{AttributeTypes: kinds}, members)
}

func told(problems *diag.Diagnostics, operation string, err error) {
	if err != nil {
		problems.AddError("Cloud Control: "+operation, err.Error())
	}
}
