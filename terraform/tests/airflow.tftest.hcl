# S14, S15: the hosts of Airflow. Nothing of them without being asked for; no way in; each job with its own role.
# (tests/terraform/terraform.test.ts reads the same plan's user data as the host would.)

mock_provider "aws" {
  source          = "./tests"
  override_during = plan
}

run "none" {
  command = plan

  assert {
    condition = 0 == sum([for made in [
      aws_cloudwatch_log_group.cluster, aws_cloudwatch_log_group.database, aws_cloudwatch_log_group.host, aws_db_instance.airflow, aws_default_security_group.airflow,
      aws_ebs_volume.airflow, aws_ecr_repository.airflow, aws_eip.nat, aws_eks_addon.airflow, aws_eks_cluster.airflow,
      aws_eks_node_group.airflow, aws_eks_pod_identity_association.job, aws_eks_pod_identity_association.pod,
      aws_iam_instance_profile.host, aws_iam_role.airflow, aws_iam_role.autoscaler, aws_iam_role.cluster, aws_iam_role.host,
      aws_iam_role.host_hours, aws_iam_role.nodes, aws_instance.airflow, aws_internet_gateway.airflow, aws_kms_key.cluster,
      aws_launch_template.nodes, aws_nat_gateway.airflow, aws_s3_bucket.airflow_logs, aws_security_group.database, aws_security_group.host, aws_scheduler_schedule.host, aws_subnet.airflow, aws_vpc.airflow,
      aws_vpc_endpoint.s3,
    ] : length(made)])
    error_message = "without a host nothing of it may be made"
  }

  assert {
    condition     = strcontains(output.airflow, "host = \"ec2\"")
    error_message = "the output must say how to get a host"
  }
}

run "ec2" {
  command = plan

  variables {
    host    = "ec2"
    airflow = { version = "1.2.0" }
    secrets = ["pseudonym-key"]
  }

  assert {
    condition     = aws_instance.airflow[0].metadata_options[0].http_tokens == "required" && aws_instance.airflow[0].metadata_options[0].http_put_response_hop_limit == 1
    error_message = "IMDSv2 must be required, and end at the host: containers get job roles, never the host's"
  }

  assert {
    condition     = alltrue([aws_instance.airflow[0].root_block_device[0].encrypted, aws_ebs_volume.airflow[0].encrypted])
    error_message = "both disks must be encrypted"
  }

  assert {
    condition     = aws_instance.airflow[0].instance_type == "t4g.large" && aws_instance.airflow[0].ami == "ami-0123456789abcdef0" && data.aws_ssm_parameter.amazon_linux[0].name == "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
    error_message = "the default must be a small arm64 host with Amazon Linux 2023"
  }

  assert {
    condition     = length(aws_security_group.host[0].ingress) == 0 && length(aws_default_security_group.airflow[0].ingress) == 0 && length(aws_default_security_group.airflow[0].egress) == 0
    error_message = "nothing may come in, and nothing at all by the default group"
  }

  assert {
    condition     = [for rule in aws_security_group.host[0].egress : "${rule.protocol} ${rule.from_port}-${rule.to_port} ${join(" ", rule.cidr_blocks)}"] == ["tcp 443-443 0.0.0.0/0"]
    error_message = "only HTTPS may go out"
  }

  assert {
    condition     = keys(aws_subnet.airflow) == ["public"] && !aws_subnet.airflow["public"].map_public_ip_on_launch && length(aws_nat_gateway.airflow) == 0 && length(aws_eip.nat) == 0
    error_message = "one public subnet that gives no address by itself, and no NAT gateway to pay"
  }

  assert {
    condition     = aws_vpc_endpoint.s3[0].vpc_endpoint_type == "Gateway" && aws_vpc_endpoint.s3[0].service_name == "com.amazonaws.eu-west-1.s3"
    error_message = "the lake must be reached by the free way"
  }

  assert {
    condition     = aws_cloudwatch_log_group.host[0].retention_in_days == 30
    error_message = "S11: logs must go by themselves"
  }

  assert {
    condition = jsonencode({ for statement in jsondecode(aws_iam_role_policy.host[0].policy).Statement : statement.Sid => statement.Resource if statement.Sid != "TakeJobRoles" }) == jsonencode({
      Log   = ["arn:aws:logs:eu-west-1:123456789012:log-group:/listenlake/airflow:*"]
      LogIn = ["*"]
      Pull  = ["arn:aws:ecr:eu-west-1:123456789012:repository/listenlake", "arn:aws:ecr:eu-west-1:123456789012:repository/listenlake-airflow"]
    })
    error_message = "the host itself may pull the two images and write its log, and never read the lake"
  }

  assert {
    condition     = alltrue([for role in aws_iam_role.job : contains(flatten([for statement in jsondecode(role.assume_role_policy).Statement : statement.Principal.AWS if statement.Sid == "People"]), aws_iam_role.host[0].arn)])
    error_message = "each job role must trust the host"
  }

  assert {
    condition     = aws_instance.airflow[0].user_data_replace_on_change && length(aws_instance.airflow[0].user_data) < 16384
    error_message = "another version must be another host, and EC2 takes user data of up to 16 KiB"
  }

  assert {
    condition     = length(aws_scheduler_schedule.host) == 0 && length(aws_iam_role.host_hours) == 0
    error_message = "the host is up always unless hours are asked for"
  }

  assert {
    condition     = strcontains(output.airflow, "--target i-0123456789abcdef0 --document-name AWS-StartPortForwardingSession") && strcontains(output.airflow, "--platform linux/arm64")
    error_message = "the output must say how the images are pushed and Airflow is opened"
  }
}

run "ec2_on_x86" {
  command = plan

  variables {
    host    = "ec2"
    airflow = { version = "1.2.0", ec2 = { instance_type = "t3.large" } }
  }

  assert {
    condition     = aws_instance.airflow[0].instance_type == "t3.large" && data.aws_ssm_parameter.amazon_linux[0].name == "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    error_message = "a type with an x86 processor must get a system for it"
  }

  assert {
    condition     = terraform_data.airflow_platform[0].input == "linux/amd64" && strcontains(output.airflow, "--platform linux/amd64") && !strcontains(output.airflow, "arm64") && strcontains(output.airflow, "x86_64")
    error_message = "its images must be built for it, on a machine of its kind: Node often dies where it is emulated"
  }
}

run "eks_on_x86" {
  command = plan

  variables {
    host    = "eks"
    airflow = { version = "1.2.0", eks = { instance_type = "m7i.large" } }
  }

  assert {
    condition     = aws_eks_node_group.airflow[0].ami_type == "AL2023_x86_64_STANDARD" && strcontains(output.airflow, "--platform linux/amd64")
    error_message = "nodes with x86 processors must get a system and images for them"
  }
}

run "ec2_with_hours_and_a_key" {
  command = plan

  variables {
    host       = "ec2"
    airflow    = { version = "1.2.0", log_days = 7, ec2 = { data_gib = 20, hours = { start = "cron(0 3 * * ? *)", stop = "cron(0 6 * * ? *)", timezone = "Europe/Madrid" }, instance_type = "m7g.xlarge" } }
    encryption = "SSE-KMS"
  }

  assert {
    condition     = alltrue([for key in [aws_instance.airflow[0].root_block_device[0].kms_key_id, aws_ebs_volume.airflow[0].kms_key_id, aws_cloudwatch_log_group.host[0].kms_key_id, aws_ecr_repository.airflow[0].encryption_configuration[0].kms_key] : key == aws_kms_key.lake[0].arn])
    error_message = "the key must cover disks, logs and images of the host too"
  }

  assert {
    condition     = [for statement in jsondecode(aws_kms_key.lake[0].policy).Statement : statement.Condition.ArnEquals["kms:EncryptionContext:aws:logs:arn"] if statement.Sid == "Logs"] == ["arn:aws:logs:eu-west-1:123456789012:log-group:/listenlake/airflow"]
    error_message = "CloudWatch must be allowed the key for the one log group"
  }

  assert {
    condition = { for name, schedule in aws_scheduler_schedule.host : schedule.target[0].arn => "${schedule.schedule_expression} ${schedule.schedule_expression_timezone} ${schedule.target[0].input}" } == {
      "arn:aws:scheduler:::aws-sdk:ec2:startInstances" = "cron(0 3 * * ? *) Europe/Madrid {\"InstanceIds\":[\"i-0123456789abcdef0\"]}"
      "arn:aws:scheduler:::aws-sdk:ec2:stopInstances"  = "cron(0 6 * * ? *) Europe/Madrid {\"InstanceIds\":[\"i-0123456789abcdef0\"]}"
    }
    error_message = "the schedules must start and stop this host"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.host_hours[0].policy).Statement[0].Resource == [aws_instance.airflow[0].arn]
    error_message = "who starts and stops may do it to this host alone"
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.host_hours[0].policy).Statement : jsonencode([statement.Action, statement.Resource, statement.Condition]) if statement.Sid == "Key"] == [jsonencode([
      ["kms:CreateGrant"], [aws_kms_key.lake[0].arn],
      { Bool = { "kms:GrantIsForAWSResource" = "true" }, StringEquals = { "kms:ViaService" = "ec2.eu-west-1.amazonaws.com" } },
    ])]
    error_message = "who starts a host with encrypted disks must be able to give EC2 the use of the key, for its disks alone"
  }
}

run "eks" {
  command = plan

  variables {
    secrets = ["pseudonym-key", "spotify"]
    host    = "eks"
    airflow = { version = "1.2.0", eks = { api_cidrs = ["203.0.113.7/32"], nodes_max = 5 } }
  }

  assert {
    condition     = length(aws_instance.airflow) + length(aws_iam_role.host) + length(aws_security_group.host) + length(aws_scheduler_schedule.host) == 0
    error_message = "one host at a time"
  }

  assert {
    condition     = aws_eks_cluster.airflow[0].vpc_config[0].endpoint_private_access && aws_eks_cluster.airflow[0].vpc_config[0].endpoint_public_access && toset(aws_eks_cluster.airflow[0].vpc_config[0].public_access_cidrs) == toset(["203.0.113.7/32"])
    error_message = "the API must be reached from inside, and from outside by the named ranges alone"
  }

  assert {
    condition     = aws_eks_cluster.airflow[0].encryption_config[0].resources == toset(["secrets"]) && aws_eks_cluster.airflow[0].encryption_config[0].provider[0].key_arn == aws_kms_key.cluster[0].arn && aws_kms_key.cluster[0].enable_key_rotation
    error_message = "secrets of the cluster must be encrypted with a key that rotates"
  }

  assert {
    condition     = length(aws_eks_cluster.airflow[0].enabled_cluster_log_types) == 5 && aws_cloudwatch_log_group.cluster[0].retention_in_days == 30 && aws_cloudwatch_log_group.cluster[0].name == "/aws/eks/listenlake/cluster"
    error_message = "the control plane must log, into a group that empties itself"
  }

  assert {
    condition     = aws_eks_cluster.airflow[0].access_config[0].authentication_mode == "API" && aws_eks_cluster.airflow[0].upgrade_policy[0].support_type == "STANDARD"
    error_message = "access by entries, and no extended support that costs six times as much"
  }

  assert {
    condition     = keys(aws_subnet.airflow) == ["private-a", "private-b", "public"] && alltrue([for subnet in aws_subnet.airflow : !subnet.map_public_ip_on_launch]) && aws_subnet.airflow["private-a"].availability_zone != aws_subnet.airflow["private-b"].availability_zone
    error_message = "nodes in two zones, no address from outside"
  }

  assert {
    condition     = data.aws_availability_zones.available[0].exclude_zone_ids == toset(["use1-az3", "usw1-az2", "cac1-az3"])
    error_message = "zones that refuse a cluster must be left out, by id"
  }

  assert {
    condition     = length(aws_nat_gateway.airflow) == 1 && keys(aws_route.out) == ["private", "public"] && length(aws_vpc_endpoint.s3) == 1
    error_message = "one NAT gateway as the way out, and S3 beside it"
  }

  assert {
    condition     = aws_launch_template.nodes[0].metadata_options[0].http_tokens == "required" && aws_launch_template.nodes[0].metadata_options[0].http_put_response_hop_limit == 1 && tobool(aws_launch_template.nodes[0].block_device_mappings[0].ebs[0].encrypted)
    error_message = "nodes must demand IMDSv2, keep their credentials from pods and encrypt their disks"
  }

  assert {
    condition     = [for group in aws_eks_node_group.airflow : [group.scaling_config[0].min_size, group.scaling_config[0].max_size, group.ami_type]] == [[1, 5, "AL2023_ARM_64_STANDARD"]]
    error_message = "nodes must scale between one and nodes_max, with the system of their processor"
  }

  assert {
    condition     = toset(keys(aws_eks_addon.airflow)) == toset(["coredns", "eks-pod-identity-agent", "kube-proxy", "vpc-cni"]) && jsondecode(aws_eks_addon.airflow["vpc-cni"].configuration_values).enableNetworkPolicy == "true"
    error_message = "Pod Identity and network policies must be on"
  }

  assert {
    condition     = { for job, association in aws_eks_pod_identity_association.job : job => "${association.cluster_name}/${association.namespace}/${association.service_account}" } == { for job in keys(aws_iam_role.job) : job => "listenlake/listenlake/listenlake-${job}" }
    error_message = "S15: each job's service account must have its role on the cluster made here"
  }

  assert {
    condition     = alltrue([for job, role in aws_iam_role.job : contains([for statement in jsondecode(role.assume_role_policy).Statement : jsonencode(statement.Condition.StringEquals) if statement.Sid == "PodIdentity"], jsonencode({ "aws:RequestTag/eks-cluster-name" = "listenlake", "aws:RequestTag/kubernetes-namespace" = "listenlake", "aws:RequestTag/kubernetes-service-account" = "listenlake-${job}" }))])
    error_message = "and the role must trust that pod alone"
  }

  assert {
    condition     = toset([for pod in aws_eks_pod_identity_association.pod : "${pod.namespace}/${pod.service_account}"]) == toset(["airflow/airflow-api-server", "airflow/airflow-scheduler", "airflow/airflow-triggerer", "kube-system/cluster-autoscaler"])
    error_message = "Airflow's pods and the autoscaler have roles of their own, others none"
  }

  assert {
    condition     = toset(flatten([for statement in jsondecode(aws_iam_role_policy.airflow[0].policy).Statement : statement.Resource])) == toset(["arn:aws:s3:::listenlake-airflow-logs-123456789012-eu-west-1", "arn:aws:s3:::listenlake-airflow-logs-123456789012-eu-west-1/*"]) && !strcontains(aws_iam_role_policy.airflow[0].policy, "Delete")
    error_message = "Airflow's pods write and read logs, and see nothing of the lake"
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.airflow[0].policy).Statement : try(statement.Condition, null) if contains(statement.Action, "s3:ListBucket")] == [null]
    error_message = "Airflow must be told that a log is not there yet: with the right to list a prefix alone S3 refuses to say, and no log is ever written"
  }

  assert {
    condition     = aws_s3_bucket_public_access_block.airflow_logs[0].restrict_public_buckets && strcontains(aws_s3_bucket_policy.airflow_logs[0].policy, "aws:SecureTransport") && aws_s3_bucket_ownership_controls.airflow_logs[0].rule[0].object_ownership == "BucketOwnerEnforced"
    error_message = "logs must be as private as the lake"
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.autoscaler[0].policy).Statement : statement.Condition if statement.Sid == "Scale"] == [{ StringEquals = { "aws:ResourceTag/k8s.io/cluster-autoscaler/listenlake" = "owned" } }] && alltrue(flatten([for statement in jsondecode(aws_iam_role_policy.autoscaler[0].policy).Statement : [for action in statement.Action : can(regex(":(Describe|Get)", action))] if contains(statement.Resource, "*")]))
    error_message = "the autoscaler changes this cluster's groups alone; its wildcard is for looking"
  }

  assert {
    condition     = toset([for attachment in aws_iam_role_policy_attachment.eks : "${attachment.role} ${split("/", attachment.policy_arn)[1]}"]) == toset(["listenlake-cluster AmazonEKSClusterPolicy", "listenlake-nodes AmazonEC2ContainerRegistryPullOnly", "listenlake-nodes AmazonEKSWorkerNodePolicy", "listenlake-nodes AmazonEKS_CNI_Policy"])
    error_message = "roles of the cluster and its nodes must be AWS's own and no more"
  }

  assert {
    condition     = aws_db_instance.airflow[0].storage_encrypted && !aws_db_instance.airflow[0].publicly_accessible && aws_db_instance.airflow[0].manage_master_user_password && aws_db_instance.airflow[0].password == null && aws_db_instance.airflow[0].backup_retention_period == 7
    error_message = "the database must be encrypted, private and backed up, with a password that Terraform does not know"
  }

  assert {
    condition     = { for log, group in aws_cloudwatch_log_group.database : log => "${group.name} ${group.retention_in_days}" } == { for log in aws_db_instance.airflow[0].enabled_cloudwatch_logs_exports : log => "/aws/rds/instance/${aws_db_instance.airflow[0].identifier}/${log} 30" }
    error_message = "each log of the database must have a group of ours, that empties itself and goes with a destroy"
  }

  assert {
    condition     = [for rule in aws_security_group.database[0].ingress : "${rule.protocol} ${rule.from_port}-${rule.to_port} ${length(rule.security_groups)} ${try(length(rule.cidr_blocks), 0)}"] == ["tcp 5432-5432 1 0"] && length(aws_security_group.database[0].egress) == 0
    error_message = "only the cluster may come to the database, and it goes nowhere"
  }

  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.airflow_logs[0].rule : rule.expiration[0].days] == [30]
    error_message = "S11: logs of tasks must go by themselves"
  }

  assert {
    condition     = yamldecode(output.airflow_values).images.airflow.tag == "1.2.0" && yamldecode(output.airflow_values).config.logging.remote_base_log_folder == "s3://listenlake-airflow-logs-123456789012-eu-west-1/tasks" && contains([for each in yamldecode(output.airflow_values).env : "${each.name}=${each.value}"], "LISTENLAKE_JOB_RUNNER=kubernetes")
    error_message = "the values must tell the chart images, lake and logs"
  }

  assert {
    condition     = length(setsubtract(["LISTENLAKE_PSEUDONYM_SECRET=listenlake/pseudonym-key", "LISTENLAKE_SPOTIFY_TOKEN_SECRET=listenlake/spotify"], [for each in yamldecode(output.airflow_values).env : "${each.name}=${each.value}"])) == 0
    error_message = "jobs must be told the names of the secrets that there are: a key that nobody reads protects nobody"
  }

  assert {
    condition     = alltrue([for words in ["update-kubeconfig", "kubectl apply -k airflow/kubernetes", "keys.sh listenlake-airflow.example.eu-west-1.rds.amazonaws.com arn:aws:secretsmanager", "helm upgrade --install airflow airflow"] : strcontains(output.airflow, words)])
    error_message = "the output must lead from the cluster to Airflow's page"
  }
}

run "eks_private_with_a_key_and_operators" {
  command = plan

  variables {
    host       = "eks"
    airflow    = { version = "1.2.0", eks = { kubernetes_version = "1.34" } }
    encryption = "SSE-KMS"
    name       = "second-lake"
    people     = { operators = ["arn:aws:iam::123456789012:role/operator"] }
  }

  assert {
    condition     = !aws_eks_cluster.airflow[0].vpc_config[0].endpoint_public_access && aws_eks_cluster.airflow[0].version == "1.34"
    error_message = "without ranges the API must be private"
  }

  assert {
    condition     = length(aws_kms_key.cluster) == 0 && alltrue([for key in [aws_eks_cluster.airflow[0].encryption_config[0].provider[0].key_arn, aws_db_instance.airflow[0].kms_key_id, aws_cloudwatch_log_group.cluster[0].kms_key_id, aws_cloudwatch_log_group.database["postgresql"].kms_key_id] : key == aws_kms_key.lake[0].arn])
    error_message = "the lake's key must cover cluster, database and logs"
  }

  assert {
    condition     = toset(flatten([for statement in jsondecode(aws_kms_key.lake[0].policy).Statement : [for arn in [statement.Condition.ArnEquals["kms:EncryptionContext:aws:logs:arn"]] : trimprefix(arn, "arn:aws:logs:eu-west-1:123456789012:log-group:")] if statement.Sid == "Logs"])) == toset(["/aws/eks/second-lake/cluster", "/aws/rds/instance/second-lake-airflow/postgresql", "/aws/rds/instance/second-lake-airflow/upgrade"])
    error_message = "CloudWatch must be allowed the key for the groups of cluster and database"
  }

  assert {
    condition     = keys(aws_eks_access_policy_association.operator) == ["arn:aws:iam::123456789012:role/operator"] && !aws_eks_cluster.airflow[0].access_config[0].bootstrap_cluster_creator_admin_permissions
    error_message = "named operators alone must be let in"
  }

  assert {
    condition     = aws_eks_cluster.airflow[0].name == "second-lake" && aws_eks_pod_identity_association.job["load"].service_account == "listenlake-load" && strcontains(aws_iam_role.job["load"].assume_role_policy, "second-lake")
    error_message = "a second lake must have a cluster of its own, with the accounts of airflow/kubernetes/"
  }
}
