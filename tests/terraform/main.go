// A Terraform provider for tests: Terraform's own plugin framework on this side, AWS's Go SDK on the other, and between
// them the calls that the awscc provider makes. Its types of resources are read from the file in AWSCC_TYPES.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudcontrol"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
)

type awscc struct{ kinds map[string]kind }

func (*awscc) Metadata(_ context.Context, _ provider.MetadataRequest, response *provider.MetadataResponse) {
	response.TypeName = "awscc"
}

func (*awscc) Schema(_ context.Context, _ provider.SchemaRequest, response *provider.SchemaResponse) {
	response.Schema = schema.Schema{}
}

// Configure reads region, keys and endpoint from the environment, as every client of AWS does.
func (*awscc) Configure(ctx context.Context, _ provider.ConfigureRequest, response *provider.ConfigureResponse) {
	found, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		response.Diagnostics.AddError("AWS configuration", err.Error())
		return
	}
	response.ResourceData = cloudcontrol.NewFromConfig(found)
}

func (*awscc) DataSources(context.Context) []func() datasource.DataSource { return nil }

func (p *awscc) Resources(context.Context) []func() resource.Resource {
	found := []func() resource.Resource{}
	for name, one := range p.kinds {
		found = append(found, func() resource.Resource {
			made := one
			made.Name = name
			return &made
		})
	}
	return found
}

func main() {
	text, err := os.ReadFile(os.Getenv("AWSCC_TYPES"))
	if err != nil {
		log.Fatal(err)
	}
	kinds := map[string]kind{}
	if err := json.Unmarshal(text, &kinds); err != nil {
		log.Fatal(err)
	}
	options := providerserver.ServeOpts{Address: "tocsin.invalid/hashicorp/awscc"}
	err = providerserver.Serve(context.Background(), func() provider.Provider { return &awscc{kinds} }, options)
	if err != nil {
		log.Fatal(err)
	}
}
