package main

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// wants is what a configuration of Envoy's says of secrets.
type wants struct {
	node, cluster           string
	socket                  string
	certificate, validation string
}

// config is the part of Envoy's configuration that says where secrets come from.
type config struct {
	Node      struct{ ID, Cluster string }
	Resources struct {
		Listeners []struct {
			Chains []struct {
				Socket struct {
					Config struct {
						Common struct {
							Certificates []source `yaml:"tls_certificate_sds_secret_configs"`
							Combined     struct {
								Validation source `yaml:"validation_context_sds_secret_config"`
							} `yaml:"combined_validation_context"`
						} `yaml:"common_tls_context"`
					} `yaml:"typed_config"`
				} `yaml:"transport_socket"`
			} `yaml:"filter_chains"`
		}
		Clusters []struct {
			Name       string
			Assignment struct {
				Endpoints []struct {
					Endpoints []struct {
						Endpoint struct {
							Address struct{ Pipe struct{ Path string } }
						}
					} `yaml:"lb_endpoints"`
				}
			} `yaml:"load_assignment"`
		}
	} `yaml:"static_resources"`
}

// source is where a secret comes from.
type source struct {
	Name   string
	Config struct {
		API struct {
			Services []struct {
				Envoy struct {
					Cluster string `yaml:"cluster_name"`
				} `yaml:"envoy_grpc"`
			} `yaml:"grpc_services"`
		} `yaml:"api_config_source"`
	} `yaml:"sds_config"`
}

// parse reads what Envoy would ask for. There is one listener that needs it.
func parse(content []byte) (wants, error) {
	var c config
	if err := yaml.Unmarshal(content, &c); err != nil {
		return wants{}, err
	}
	w := wants{node: c.Node.ID, cluster: c.Node.Cluster}
	asked := ""
	for _, listener := range c.Resources.Listeners {
		for _, chain := range listener.Chains {
			tls := chain.Socket.Config.Common
			for _, from := range append(tls.Certificates, tls.Combined.Validation) {
				for _, service := range from.Config.API.Services {
					if asked != "" && asked != service.Envoy.Cluster {
						return wants{}, fmt.Errorf("secrets come from both %s and %s", asked, service.Envoy.Cluster)
					}
					asked = service.Envoy.Cluster
				}
			}
			for _, from := range tls.Certificates {
				w.certificate = from.Name
			}
			w.validation = tls.Combined.Validation.Name
		}
	}
	for _, cluster := range c.Resources.Clusters {
		for _, locality := range cluster.Assignment.Endpoints {
			for _, endpoint := range locality.Endpoints {
				if cluster.Name == asked {
					w.socket = endpoint.Endpoint.Address.Pipe.Path
				}
			}
		}
	}
	if w.certificate == "" || w.validation == "" || w.socket == "" {
		return wants{}, fmt.Errorf("no certificate, validation context or socket to ask at: %+v", w)
	}
	return w, nil
}
