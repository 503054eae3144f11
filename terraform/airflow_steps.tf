# What a person does next, by host, as the outputs say it (docs/airflow.md says more).

locals {
  _image_steps = !local.airflow.has_host ? [] : [
    "# both images, for ${local.airflow_platform}, under the tag ${var.airflow.version}, built on a machine of that kind (`uname -m`: ${local.airflow_is_arm ? "aarch64 or arm64" : "x86_64"}); for another, choose another airflow.${var.host}.instance_type",
    "aws ecr get-login-password --region ${local.region} | docker login --username AWS --password-stdin ${split("/", aws_ecr_repository.jobs.repository_url)[0]}",
    "docker buildx build --platform ${local.airflow_platform} --push --tag ${aws_ecr_repository.jobs.repository_url}:${var.airflow.version} .",
    "docker buildx build --platform ${local.airflow_platform} --push --tag ${aws_ecr_repository.airflow[0].repository_url}:${var.airflow.version} airflow",
  ]

  airflow_steps = {
    none   = "host = \"ec2\" (one person) or \"eks\" (a team) and airflow = { version = \"...\" } in terraform.tfvars, and apply again"
    lambda = "Airflow is not part of host = \"lambda\": terraform output -raw next_steps"
    ec2 = join("\n", concat(local._image_steps, flatten([for instance in aws_instance.airflow : [
      "# the host takes them within a minute; what it and the jobs print:",
      "aws logs tail ${local._host_log_group} --region ${local.region} --since 10m --follow",
      "# the password of admin, then Airflow at http://localhost:8080 as long as the second command runs",
      "aws ssm start-session --region ${local.region} --target ${instance.id} --document-name AWS-StartInteractiveCommand --parameters 'command=sudo cat /srv/listenlake/auth/passwords.json'",
      "aws ssm start-session --region ${local.region} --target ${instance.id} --document-name AWS-StartPortForwardingSession --parameters portNumber=8080,localPortNumber=8080",
    ]])))
    eks = join("\n", concat(local._image_steps, flatten([for cluster in aws_eks_cluster.airflow : [
      "# the cluster, the jobs' namespace, the nodes' autoscaler",
      "aws eks update-kubeconfig --region ${local.region} --name ${cluster.name}",
      "kubectl apply -k airflow/kubernetes",
      "helm upgrade --install cluster-autoscaler cluster-autoscaler --repo https://kubernetes.github.io/autoscaler --namespace kube-system --set autoDiscovery.clusterName=${cluster.name} --set awsRegion=${local.region} --set rbac.serviceAccount.name=cluster-autoscaler",
      "# Airflow's keys, made once and kept in the cluster alone, and its user in the database",
      "airflow/kubernetes/keys.sh ${aws_db_instance.airflow[0].address} ${aws_db_instance.airflow[0].master_user_secret[0].secret_arn}",
      "# Airflow, now and for each new version",
      "terraform -chdir=terraform output -raw airflow_values > values.aws.yaml",
      "helm upgrade --install airflow airflow --repo https://airflow.apache.org --version 1.22.0 --namespace airflow --values airflow/kubernetes/values.yaml --values values.aws.yaml",
      "kubectl exec deployment/airflow-scheduler --namespace airflow -- airflow pools set listenlake_writer 1 'The lake has one writer' --include-deferred",
      "# the password of admin, then Airflow at http://localhost:8080 as long as the second command runs",
      "kubectl get secret airflow-keys --namespace airflow --output go-template='{{index .data \"passwords.json\" | base64decode}}'",
      "kubectl port-forward service/airflow-api-server 8080:8080 --namespace airflow",
    ]])))
  }

  # For the Helm chart, over airflow/kubernetes/values.yaml.
  airflow_values = !local.airflow.is_eks ? "" : yamlencode({
    images = { airflow = { repository = aws_ecr_repository.airflow[0].repository_url, tag = var.airflow.version } }
    config = { logging = { remote_base_log_folder = "s3://${local.airflow_logs_bucket}/tasks" } }
    env = [for name, value in merge(local.secret_names, {
      AIRFLOW_CONN_AWS_DEFAULT = "aws://"
      AWS_REGION               = local.region
      LISTENLAKE_AWS_NAME      = var.name
      LISTENLAKE_JOB_IMAGE     = "${aws_ecr_repository.jobs.repository_url}:${var.airflow.version}"
      LISTENLAKE_JOB_POOL      = "listenlake_writer"
      PYTHONPATH               = "/usr/local/airflow"
      LISTENLAKE_JOB_NAMESPACE = local.eks.namespace
      LISTENLAKE_JOB_RUNNER    = "kubernetes"
      LISTENLAKE_LAKE          = local.lake_uri
    }) : { name = name, value = value }]
  })
}
