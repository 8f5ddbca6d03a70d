package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/boolplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/listplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/mapplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/objectplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// attribute is how Terraform has a property: what a user leaves out is whatever it turns out to be, and stays that.
// Only a property at the top has the resource made anew when it may not change.
func (p *property) attribute(top bool) schema.Attribute {
	optional, anew := !p.ReadOnly, top && p.CreateOnly
	switch p.Kind {
	case anInteger:
		kept := []planmodifier.Int64{int64planmodifier.UseStateForUnknown()}
		if anew {
			kept = append(kept, int64planmodifier.RequiresReplaceIfConfigured())
		}
		return schema.Int64Attribute{Optional: optional, Computed: true, PlanModifiers: kept}
	case aBoolean:
		kept := []planmodifier.Bool{boolplanmodifier.UseStateForUnknown()}
		if anew {
			kept = append(kept, boolplanmodifier.RequiresReplaceIfConfigured())
		}
		return schema.BoolAttribute{Optional: optional, Computed: true, PlanModifiers: kept}
	case aList:
		return p.listAttribute(optional)
	case aMap:
		kept := []planmodifier.Map{mapplanmodifier.UseStateForUnknown()}
		return schema.MapAttribute{ElementType: types.StringType, Optional: optional, Computed: true, PlanModifiers: kept}
	case anObject:
		kept := []planmodifier.Object{objectplanmodifier.UseStateForUnknown()}
		if anew {
			kept = append(kept, objectplanmodifier.RequiresReplaceIfConfigured())
		}
		return schema.SingleNestedAttribute{
			Attributes: p.attributes(false), Optional: optional, Computed: true, PlanModifiers: kept,
		}
	}
	kept := []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	if anew {
		kept = append(kept, stringplanmodifier.RequiresReplaceIfConfigured())
	}
	return schema.StringAttribute{Optional: optional, Computed: true, PlanModifiers: kept}
}

func (p *property) attributes(top bool) map[string]schema.Attribute {
	found := map[string]schema.Attribute{}
	for _, one := range p.Properties {
		found[one.Attribute] = one.attribute(top)
	}
	return found
}

func (p *property) listAttribute(optional bool) schema.Attribute {
	kept := []planmodifier.List{withoutOrder{}, listplanmodifier.UseStateForUnknown()}
	if p.Item.Kind == anObject {
		nested := schema.NestedAttributeObject{Attributes: p.Item.attributes(false)}
		return schema.ListNestedAttribute{
			NestedObject: nested, Optional: optional, Computed: true, PlanModifiers: kept,
		}
	}
	elements := map[string]attr.Type{anInteger: types.Int64Type, aBoolean: types.BoolType}[p.Item.Kind]
	if elements == nil {
		elements = types.StringType
	}
	return schema.ListAttribute{ElementType: elements, Optional: optional, Computed: true, PlanModifiers: kept}
}

// withoutOrder plans no change where a list has what it had in another order.
type withoutOrder struct{}

func (withoutOrder) Description(context.Context) string         { return "The order does not matter." }
func (withoutOrder) MarkdownDescription(context.Context) string { return "The order does not matter." }

func (withoutOrder) PlanModifyList(
	_ context.Context, request planmodifier.ListRequest, response *planmodifier.ListResponse,
) {
	left := append([]attr.Value{}, request.StateValue.Elements()...)
	planned := request.PlanValue.Elements()
	if request.StateValue.IsNull() || len(left) != len(planned) {
		return
	}
	for _, one := range planned {
		at := place(left, one)
		if at < 0 {
			return
		}
		left = append(left[:at], left[at+1:]...)
	}
	response.PlanValue = request.StateValue
}

func place(items []attr.Value, wanted attr.Value) int {
	for at, one := range items {
		if one.Equal(wanted) {
			return at
		}
	}
	return -1
}
